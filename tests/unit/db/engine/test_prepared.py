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
