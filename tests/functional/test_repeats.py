"""Writes that a caller repeats, because the first call got no answer."""

import pytest

from computed import context
from computed import exception
from computed.objects import instance as instance_obj
from tests.support import fixtures

NEW = '22222222-2222-4333-8444-555555555555'


def create(ctxt=None, **values):
    found = instance_obj.Instance(ctxt or context.new(), **{
        **fixtures.INSTANCE, 'uuid': NEW, **values})
    found.create()
    return found


def rows(pair):
    return pair.sql(pair.primary, 'SELECT name, revision FROM instances'
                    ' WHERE uuid = ?', NEW)


def host_revision(pair):
    return pair.sql(pair.primary, 'SELECT revision FROM hosts WHERE name = ?',
                    fixtures.HOST)


def test_a_create_that_is_repeated_gets_the_row(fresh, pair):
    first, revision = create(), host_revision(pair)
    ctxt = context.new()
    again = create(ctxt)
    assert again.revision == first.revision
    assert again.created_at == first.created_at
    assert rows(pair) == [('web', first.revision)]
    assert host_revision(pair) == revision
    # The caller sees what it has written, whichever server answers.
    found = instance_obj.InstanceList.get_by_host(
        ctxt, fixtures.HOST, use_slave=True)
    assert NEW in [one.uuid for one in found]


def test_the_repeat_gets_the_row_as_it_is_now(fresh):
    create()
    built = instance_obj.Instance.get_by_uuid(context.new(), NEW)
    built.vm_state, built.power_state = 'stopped', 4
    built.save()
    again = create()
    assert (again.vm_state, again.power_state) == ('stopped', 4)
    assert again.revision == built.revision
    # It may be saved at once.
    again.name = 'renamed'
    again.save()


@pytest.mark.parametrize('name, value', [
    ('name', 'other'), ('command', 'sleep 7'), ('vcpus', 2),
    ('memory_mb', 1), ('disk_gb', 1), ('network', 'private')])
def test_another_order_with_the_same_uuid_is_refused(
        fresh, pair, name, value):
    create()
    before = rows(pair)
    with pytest.raises(exception.InstanceExists) as refused:
        create(**{name: value})
    assert str(refused.value) == (
        f'There is already an instance {NEW}, named web, with another {name}. '
        'Leave it, or create the new one with another uuid.')
    assert rows(pair) == before
