"""The schema: which one the code needs, which one is there, the way over.

Migrations only ever expand until a later release contracts, so code one
release behind still runs on the newest schema.
"""

import contextlib
import functools
import os
import pathlib

import sqlalchemy as sa
from alembic import command
from alembic import config as alembic_config
from alembic import script
from alembic.runtime import migration
from oslo_db import exception as db_exc

from computed import exception
from computed.db.engine import address
from computed.db.engine import errors
from computed.db.engine import setup

# The oldest schema this code runs on.
NEEDED = 'a7'
FOLDER = pathlib.Path(__file__).parent / 'migrations'


def _config():
    config = alembic_config.Config()
    config.set_main_option('script_location', str(FOLDER))
    return config


def _engine(url):
    engine = setup.single(address.prepare(url))
    setup.tune(engine)
    return engine


def known():
    """Every schema this code knows, oldest first."""
    scripts = script.ScriptDirectory.from_config(_config())
    return [found.revision for found in scripts.walk_revisions()][::-1]


@functools.cache
def outdated():
    """The schemas that are older than the one this code needs."""
    revisions = known()
    return tuple(revisions[:revisions.index(NEEDED)])


def version(url):
    """The schema of the database at ``url``; None if it has none yet."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == 'sqlite' and not os.path.exists(
            parsed.database or ''):
        return None     # to look must not make it
    with _engine(url).connect() as connection:
        return migration.MigrationContext.configure(
            connection).get_current_revision()


def sync(url):
    """Bring the database at ``url`` to the newest schema.

    :returns: the schemas before and after
    """
    before = version(url)
    config = _config()
    with _engine(url).begin() as connection:
        config.attributes['connection'] = connection
        command.upgrade(config, 'head')
    return before, version(url)


def check(url):
    """Refuse a database that this code cannot work with.

    A schema that this code does not know is newer: whatever it has dropped,
    it has not dropped what the release before it used.

    :raises computed.exception.SchemaMismatch: missing or too old
    """
    found = version(url)
    if found is None or found in outdated():
        raise exception.SchemaMismatch(
            found=found or 'none', needed=NEEDED,
            remedy='Run `computed-manage db sync`.')


@contextlib.contextmanager
def reachable(url):
    """Turn what a server or its library says into our own error.

    :raises computed.exception.PrimaryUnreachable: nobody answers at
        ``url``, or nobody who can be trusted, or it refuses
    """
    try:
        yield
    except (db_exc.DBError, sa.exc.SQLAlchemyError) as error:
        raise exception.PrimaryUnreachable(
            address=address.show(url),
            problem=errors.message(error).split('\n', 1)[0].rstrip('.')
        ) from error
