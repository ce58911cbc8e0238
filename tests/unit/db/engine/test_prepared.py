import sys
import threading
from concurrent import futures

import pytest
import sqlalchemy as sa

from computed.db.cell import models
from computed.db.cell.claims import claimed
from computed.db.cell.storage import tables
from computed.db.engine import prepared

ROW = models.Instance


def test_a_condition_is_made_once_and_has_its_value_with_it():
    one, other = (prepared.equals(ROW.host, name) for name in ('a', 'b'))
    assert one.sql is other.sql
    assert str(one.sql) == 'instances.host = :the_host'
    assert prepared.values([one, prepared.one_of(ROW.vm_state, ['x'])]) == {
        'the_host': 'a', 'the_vm_state': ['x']}


def test_none_is_compared_as_null():
    nothing = prepared.equals(ROW.task_state, None)
    assert str(nothing.sql) == 'instances.task_state IS NULL'
    assert dict(nothing.values) == {}


def test_the_same_facts_make_one_statement_and_others_another():
    def statement(**facts):
        return claimed._updating(ROW, prepared.texts(
            prepared.equals(getattr(ROW, name), value)
            for name, value in facts.items()), frozenset())
    assert statement(host='a', vm_state='x') is statement(
        host='b', vm_state='y')
    assert statement(host='a', task_state='x') is not statement(
        host='a', task_state=None)


def test_no_column_has_the_name_of_a_value():
    """An UPDATE would set it."""
    assert [column.name for table in tables.Volume.metadata.tables.values()
            for column in table.columns
            if column.name.startswith('the_')] == []


@pytest.fixture
def restless():
    """Threads that take turns as often as they can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-7)
    yield
    sys.setswitchinterval(usual)


def test_statements_of_all_threads_find_the_columns_of_an_alias(restless):
    """Without care, one of four threads often does not."""
    together = threading.Barrier(4)

    def chosen(other):
        together.wait()
        statement = sa.select(ROW, other).join(
            other, other.c.host == ROW.host)
        return statement.selected_columns

    with futures.ThreadPoolExecutor(4) as threads:
        for _ in range(100):
            freeze = prepared.alias(models.Freeze, 'other')
            for columns in list(threads.map(chosen, [freeze] * 4)):
                assert all(map(columns.contains_column, freeze.c))
