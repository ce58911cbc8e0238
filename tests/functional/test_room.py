"""A new instance needs room on its host; the primary decides it."""

import pytest

from computed import context
from computed import exception
from computed.objects import host as host_obj
from computed.objects import instance as instance_obj
from computed.virt import memory
from tests.support import fixtures

HOST = fixtures.HOST


def uuid(number):
    return f'00000000-0000-4000-8000-{number:012}'


@pytest.fixture
def manager(host_side, pair):
    """A host with 8 CPUs, 15872 MiB and 100 GiB to promise, all free."""
    for path in (pair.primary, pair.replica):
        pair.sql(path, 'DELETE FROM instances')
    found = host_side.manager(memory.MemoryDriver(host_side.conf))
    found.conf.set_override('cpu_allocation_ratio', 1.0, 'compute')
    found.update_available_resource(context.new())
    return found


def create(number, ensure_room=True, **values):
    instance_obj.Instance(context.new(), **{
        **fixtures.INSTANCE, 'uuid': uuid(number), 'vcpus': 1, **values,
    }).create(ensure_room=ensure_room)


def count(pair):
    [[found]] = pair.sql(pair.primary, 'SELECT count(*) FROM instances')
    return found


def test_what_a_host_cannot_bear_is_refused_and_not_recorded(manager, pair):
    create(1, vcpus=6)
    with pytest.raises(exception.NoRoom) as refused:
        create(2, vcpus=3, memory_mb=20000)
    assert str(refused.value).startswith(
        f'Host {HOST} has no room for this instance: 3 CPUs asked, 2 free, '
        '20000 MiB of memory asked, 15872 free. ')
    assert count(pair) == 1
    create(2, vcpus=2)


def test_a_repeat_is_answered_although_the_host_is_full(manager, pair):
    for _ in range(2):
        create(1, vcpus=8)
    assert count(pair) == 1


def test_room_need_not_be_ensured_and_then_the_next_is_refused(manager, pair):
    create(1, vcpus=8)
    create(2, vcpus=8, ensure_room=False)
    with pytest.raises(exception.NoRoom, match='1 CPUs asked, 0 free'):
        create(3)
    create(3, vcpus=0)      # it takes nothing
    assert count(pair) == 3


def test_the_deleted_and_those_of_other_hosts_take_no_room(manager, pair):
    create(1, vcpus=8)
    pair.sql(pair.primary, 'UPDATE instances SET deleted = 1')
    create(2, vcpus=8)
    pair.sql(pair.primary, "UPDATE instances SET host = 'another'")
    create(3, vcpus=8)


def test_a_host_that_has_recorded_nothing_sets_no_limit(manager, pair):
    pair.sql(pair.primary, 'DELETE FROM compute_nodes')
    create(1, vcpus=10000)


def test_a_damaged_figure_sets_no_limit(manager, pair):
    pair.sql(pair.primary, "UPDATE compute_nodes SET vcpus = 'many'")
    create(1, vcpus=10000)
    with pytest.raises(exception.NoRoom, match='MiB'):
        create(2, memory_mb=20000)


def test_a_host_shows_what_it_has_promised_until_now(manager):
    def shown():
        node = host_obj.Host.get_by_name(context.new(), HOST).compute_node
        return node.vcpus_used, node.memory_mb_claimed
    assert shown() == (0, 0)
    create(1, vcpus=3, memory_mb=64, vm_state='building')
    assert shown() == (3, 64)
