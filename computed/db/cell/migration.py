"""The schema: which one the code needs, which one exists, and the upgrade.

Migrations only add; a later release drops. So code that is one release behind
still runs on the newest schema.
"""

import contextlib
import functools
import pathlib
from collections import abc

import sqlalchemy as sa
from alembic import command
from alembic import config as alembic_config
from alembic import script
from alembic import util
from alembic.runtime import migration
from oslo_db import exception as db_exc

from computed import exception
from computed.db.cell.migrations import steps
from computed.db.engine import address
from computed.db.engine import encoding
from computed.db.engine import errors
from computed.db.engine import exclusive
from computed.db.engine import setup
from computed.db.engine import sqlite
from computed.db.engine import turns

# The oldest schema that this code runs on.
NEEDED = 'b2'
# Seconds to wait for another process that upgrades the same schema.
WAIT = 300.0
AGAIN = ('Correct the cause and run `computed-manage db sync` again. It '
         'completes what is missing.')
FOLDER = pathlib.Path(__file__).parent / 'migrations'


def _config() -> alembic_config.Config:
    config = alembic_config.Config()
    config.set_main_option('script_location', str(FOLDER))
    return config


@contextlib.contextmanager
def _engine(url: str) -> abc.Iterator[sa.Engine]:
    engine = setup.single(address.prepare(url))
    setup.tune(engine)
    try:
        yield engine
    finally:
        engine.dispose()


@functools.cache
def known() -> tuple[str, ...]:
    """Return every schema that this code knows, oldest first."""
    scripts = script.ScriptDirectory.from_config(_config())
    return tuple(found.revision for found in scripts.walk_revisions())[::-1]


@functools.cache
def outdated() -> tuple[str, ...]:
    """Return the schemas that are too old for this code."""
    return known()[:known().index(NEEDED)]


def version(url: str) -> str | None:
    """Return the schema of the database at ``url``, or None if it is empty.
    """
    if absence(url):
        return None     # a connection would create the file
    with _engine(url) as engine, engine.connect() as connection:
        return _version(connection)


def absence(url: str) -> str | None:
    """Return why there is no database at ``url``, or None if one may be.

    Only of a file is it known without a connection.
    """
    parsed = sa.make_url(url)
    return (sqlite.absence(parsed.database or '')
            if parsed.get_backend_name() == 'sqlite' else None)


def _version(connection: sa.Connection) -> str | None:
    return migration.MigrationContext.configure(
        connection).get_current_revision()


def sync(url: str, wait: float = WAIT) -> tuple[str | None, str]:
    """Upgrade the database at ``url`` to the newest schema.

    A schema that this code does not know is newer, and stays as it is.

    :param wait: seconds to wait for another process that does the same
    :returns: the schemas before and after
    :raises computed.exception.SchemaBusy: another process does the same
    :raises computed.exception.SchemaUpgradeFailed: it cannot be finished now
    :raises computed.exception.TextNotKept: it cannot keep all of Unicode
    """
    with _engine(url) as engine:
        with engine.connect() as connection:
            if problem := encoding.problem(connection):
                raise exception.TextNotKept(
                    address=address.show(url), problem=problem)
            before = _version(connection)
        if before is not None and before not in known()[:-1]:
            return before, before
        with _failures() as progress, exclusive.turn(engine, wait) as turn:
            upgrade(turn, progress)
    return before, known()[-1]


def upgrade(turn: turns.Turn, progress: steps.Progress,
            newest: str = 'head') -> None:
    """Upgrade as far as the schema ``newest``.

    :param progress: a new one; it then tells how far this came
    """
    found = _version(turn.connection)
    progress.begin(turn, [*known()][
        known().index(found) + 1 if found in known() else 0:],
        upgrades=found is not None)
    config = _config()
    config.attributes.update(connection=turn.connection, progress=progress)
    command.upgrade(config, newest)


@contextlib.contextmanager
def _failures() -> abc.Iterator[steps.Progress]:
    """Translate any error of an upgrade into one that names the step."""
    progress = steps.Progress()
    try:
        yield progress
    except (db_exc.DBError, sa.exc.SQLAlchemyError, util.CommandError,
            turns.Refused) as error:
        raise exception.SchemaUpgradeFailed(
            place=progress.place, problem=errors.problem(error),
            remedy=getattr(error, 'remedy', AGAIN)) from error


def check(url: str) -> None:
    """Refuse a database whose schema is missing or too old.

    A schema that this code does not know is newer. It still has all that the
    previous release uses.

    :raises computed.exception.SchemaMismatch: it is missing or too old
    """
    found = version(url)
    if found is None or found in outdated():
        raise exception.SchemaMismatch(
            address=address.show(url), found=found or 'none', needed=NEEDED,
            remedy='Run `computed-manage db sync`.' if found else
                   'If it had one, put it back from a backup. Else run '
                   '`computed-manage db sync`.')


@contextlib.contextmanager
def reachable(url: str) -> abc.Iterator[None]:
    """Translate any database error of the body into one typed error.

    :raises computed.exception.PrimaryUnreachable: the server at ``url`` does
        not answer, is not trusted, or refuses
    :raises computed.exception.DatabaseDamaged: it is a file that is damaged
    """
    try:
        yield
    except (db_exc.DBError, sa.exc.SQLAlchemyError) as error:
        raise address.unreachable(
            url, errors.problem(error),
            sqlite.is_damaged(errors.origin(error))) from error
