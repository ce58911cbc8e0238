"""A schema of any age, and what an engine tells about it."""

import contextlib
import threading

import sqlalchemy as sa

from computed.db.cell import migration
from computed.db.cell.migrations import steps
from computed.db.engine import exclusive
from tests.support import waiting


def upgrade(url, newest):
    """Upgrade the database at ``url`` as far as the schema ``newest``."""
    with migration._engine(url) as engine, \
            exclusive.turn(engine, 10) as turn:
        upgrade_in(turn, newest)


def upgrade_in(turn, newest):
    """As :func:`upgrade`, for one who has the turn already."""
    migration.upgrade(turn, steps.Progress(), newest)


@contextlib.contextmanager
def held(url):
    """Let another thread have the turn while the body runs."""
    begun, over = threading.Event(), threading.Event()

    def hold():
        with migration._engine(url) as engine, exclusive.turn(engine, 0):
            begun.set()
            over.wait()
    thread = threading.Thread(target=hold)
    thread.start()
    try:
        waiting.wait_for(lambda: begun.is_set() or not thread.is_alive())
        assert thread.is_alive()
        yield
    finally:
        over.set()
        thread.join()


def shape(url):
    """All that an engine tells about the tables of a database."""
    with migration._engine(url) as engine, engine.connect() as connection:
        look = sa.inspect(connection)
        return {table: _shape(look, table)
                for table in sorted(look.get_table_names())}


def _shape(look, table):
    return {
        'columns': [{**column, 'type': repr(column['type'])}
                    for column in look.get_columns(table)],
        'key': look.get_pk_constraint(table),
        'indexes': sorted(look.get_indexes(table), key=_name),
        'foreign keys': sorted(look.get_foreign_keys(table), key=_name),
        'unique': sorted(look.get_unique_constraints(table), key=_name),
        'checks': sorted(look.get_check_constraints(table), key=_name),
        'options': look.get_table_options(table),
        'rows': look.bind.scalar(sa.select(sa.func.count()).select_from(
            sa.table(table)))}


def _name(found):
    return found['name']
