"""The schema: which one the code needs, which one exists, and the upgrade.

Migrations only add; a later release drops. So code that is one release behind
still runs on the newest schema.
"""

import contextlib
import functools
import os
import pathlib
from collections import abc

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

# The oldest schema that this code runs on.
NEEDED = 'a7'
FOLDER = pathlib.Path(__file__).parent / 'migrations'


def _config() -> alembic_config.Config:
    config = alembic_config.Config()
    config.set_main_option('script_location', str(FOLDER))
    return config


def _engine(url: str) -> sa.Engine:
    engine = setup.single(address.prepare(url))
    setup.tune(engine)
    return engine


def known() -> list[str]:
    """Return every schema that this code knows, oldest first."""
    scripts = script.ScriptDirectory.from_config(_config())
    return [found.revision for found in scripts.walk_revisions()][::-1]


@functools.cache
def outdated() -> tuple[str, ...]:
    """Return the schemas that are too old for this code."""
    revisions = known()
    return tuple(revisions[:revisions.index(NEEDED)])


def version(url: str) -> str | None:
    """Return the schema of the database at ``url``, or None if it is empty.
    """
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == 'sqlite' and not os.path.exists(
            parsed.database or ''):
        return None     # a connection would create the file
    with _engine(url).connect() as connection:
        return migration.MigrationContext.configure(
            connection).get_current_revision()


def sync(url: str) -> tuple[str | None, str | None]:
    """Upgrade the database at ``url`` to the newest schema.

    :returns: the schemas before and after
    """
    before = version(url)
    config = _config()
    with _engine(url).begin() as connection:
        config.attributes['connection'] = connection
        command.upgrade(config, 'head')
    return before, version(url)


def check(url: str) -> None:
    """Refuse a database whose schema is missing or too old.

    A schema that this code does not know is newer. It still has all that the
    previous release uses.

    :raises computed.exception.SchemaMismatch: it is missing or too old
    """
    found = version(url)
    if found is None or found in outdated():
        raise exception.SchemaMismatch(
            found=found or 'none', needed=NEEDED,
            remedy='Run `computed-manage db sync`.')


@contextlib.contextmanager
def reachable(url: str) -> abc.Iterator[None]:
    """Translate any database error of the body into one typed error.

    :raises computed.exception.PrimaryUnreachable: the server at ``url`` does
        not answer, is not trusted, or refuses
    """
    try:
        yield
    except (db_exc.DBError, sa.exc.SQLAlchemyError) as error:
        raise exception.PrimaryUnreachable(
            address=address.show(url),
            problem=errors.message(error).split('\n', 1)[0].rstrip('.')
        ) from error
