"""The release before this one on the schema of this one.

Its statements know only the tables and columns that its own schema had, so
they are made from that.
"""

import datetime

import pytest
import sqlalchemy as sa
from oslo_db.sqlalchemy import engines as oslo_engines

from computed import context
from computed.db.cell import migration
from computed.objects import instance as instance_obj
from tests.integration import test_replication as replication
from tests.support import fixtures
from tests.support import schemas
from tests.support import waiting

side = replication.side
STEPS = list(zip(migration.known(), migration.known()[1:], strict=False))
VALUES = {sa.String: 'x', sa.Integer: 1, sa.Boolean: False,
          sa.Float: 1.0, sa.DateTime: datetime.datetime(2026, 1, 1)}


@pytest.fixture
def url(engine, request, tmp_path):
    if engine == 'sqlite':
        return f'sqlite:///{tmp_path}/x.sqlite'
    return request.getfixturevalue('database').url


def schema(connection):
    found = sa.MetaData()
    found.reflect(connection)
    found.remove(found.tables['alembic_version'])
    return found


def row(table):
    """A value for each column that has to have one."""
    return {column.name: next(
        value for kind, value in VALUES.items()
        if isinstance(column.type, kind)) for column in table.columns
        if not column.nullable}


def use(connection, tables):
    """Write, read and remove a row of each table."""
    for table in tables:
        connection.execute(sa.delete(table))
    for table in tables:
        values = row(table)
        connection.execute(sa.insert(table).values(values))
        [found] = connection.execute(sa.select(*table.columns)).mappings()
        assert {name: found[name] for name in values} == values
        assert connection.execute(
            sa.update(table).values(values)).rowcount == 1
    for table in reversed(tables):
        assert connection.execute(sa.delete(table)).rowcount == 1


@pytest.mark.parametrize('engine', ['sqlite', 'mariadb', 'postgresql'])
def test_every_step_leaves_the_former_release_working(url):
    assert len(STEPS) >= 4
    engine = oslo_engines.create_engine(url)
    schemas.upgrade(url, STEPS[0][0])
    with engine.connect() as connection:
        for _, revision in STEPS:
            former = schema(connection).sorted_tables
            connection.rollback()
            schemas.upgrade(url, revision)
            use(connection, former)
            connection.commit()
    engine.dispose()


@pytest.mark.parametrize('engine', ['mariadb', 'postgresql'])
def test_a_life_that_the_former_release_left_empty_is_begun(
        side, database, engine):
    """It has written, and knows of no incarnation."""
    def known():
        return side.conductor.list_replicas(context.new())[0]['incarnation']
    before = known()
    database.sql('UPDATE database_identity '
                 'SET incarnation = NULL, lineage = NULL')
    waiting.wait_for(lambda: known() not in (None, before), 10,
                     'a new incarnation')
    assert database.sql('SELECT incarnation FROM database_identity') == [
        (known(),)]
    replication.create_host(side)
    ctxt = context.new()
    instance_obj.Instance(ctxt, **fixtures.INSTANCE).create()
    database.caught_up()
    waiting.wait_for(lambda: role(ctxt) == 'replica', 10,
                     'its own write seen on a replica')


def role(ctxt):
    instance_obj.InstanceList.get_by_host(ctxt, fixtures.HOST,
                                          use_slave=True)
    return ctxt.reads.last.role
