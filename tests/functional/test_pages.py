"""Lists page by page, from the object through a conductor to the rows."""

import contextlib

import pytest

from computed import context
from computed import exception
from computed.objects import base
from computed.objects import host as host_obj
from computed.objects import instance as instance_obj
from computed.virt import memory
from tests.support import fixtures


@pytest.fixture
def many(pair, host_side):
    """Seven instances on the primary: web (twice), a to e."""
    for number, name in enumerate(['e', 'd', 'c', 'b', 'a', 'web']):
        pair.add_instance(
            pair.primary, uuid=f'00000000-0000-4000-8000-{number:012}',
            name=name, host='h2' if name in 'ab' else fixtures.HOST,
            vm_state='error' if name in 'bc' else 'active')
    return pair


def pages(read, *args, limit=None, **kwargs):
    """The names on each page, following the markers."""
    found, marker = [], None
    while marker is not None or not found:
        page = read(context.new(), *args, limit=limit, marker=marker,
                    **kwargs)
        found.append(''.join(getattr(one, 'name', None) or one.host
                             for one in page))
        marker = page.next_marker
    return found


@pytest.mark.parametrize('limit, shown', [
    (None, ['abcdewebweb']), (7, ['abcdewebweb']), (8, ['abcdewebweb']),
    (6, ['abcdeweb', 'web']), (3, ['abc', 'deweb', 'web']),
    (1, ['a', 'b', 'c', 'd', 'e', 'web', 'web'])])
def test_pages_of_all_instances(many, limit, shown):
    assert pages(instance_obj.InstanceList.get_all, limit=limit) == shown


@pytest.mark.parametrize('filters, shown', [
    ({'host': 'h2'}, ['a', 'b']), ({'vm_state': 'error'}, ['b', 'c']),
    ({'name': 'web'}, ['web', 'web']),
    ({'host': 'h2', 'vm_state': 'error'}, ['b']),
    ({'host': 'nowhere'}, ['']), ({'vm_state': "' OR 1=1 --"}, [''])])
def test_filters_choose_before_pages_are_made(many, filters, shown):
    assert pages(instance_obj.InstanceList.get_all, limit=1,
                 **filters) == shown


def test_pages_by_name_and_by_host(many):
    read = instance_obj.InstanceList
    assert pages(read.get_by_name, 'web', limit=1) == ['web', 'web']
    assert pages(read.get_by_host, 'h2', limit=1) == ['a', 'b']


def test_the_list_of_a_task_is_whole_and_says_how_new_it_is(
        many, host_side):
    ctxt = context.new()
    found = instance_obj.InstanceList.get_by_host(ctxt, fixtures.HOST)
    assert [one.uuid for one in found] == sorted(one.uuid for one in found)
    assert (len(found), found.next_marker) == (5, None)
    assert ctxt.reads.last.revision == 7


def test_pages_of_hosts_and_compute_nodes(many):
    for name in ('h2', 'h3'):
        many.sql(many.primary, 'INSERT OR REPLACE INTO hosts VALUES '
                 "(?, 1, '2026-01-01 00:00:00.000000')", name)
        host_obj.ComputeNode.record(context.new(), name, {
            'hypervisor_type': 'x', 'hypervisor_version': '1', 'vcpus': 1,
            'memory_mb': 1, 'disk_gb': 1})
    assert pages(host_obj.HostList.get_all, limit=2) == ['h1h2', 'h3']
    assert pages(host_obj.ComputeNodeList.get_all, limit=1) == ['h2', 'h3']
    counts = {host.name: host.instances
              for host in host_obj.HostList.get_all(context.new())}
    assert counts == {'h1': 5, 'h2': 2, 'h3': 0}
    many.sql(many.primary, "DELETE FROM hosts WHERE name IN ('h2', 'h3')")


def test_a_marker_goes_on_pointing_where_its_row_has_been(many):
    first = instance_obj.InstanceList.get_all(context.new(), limit=2)
    many.sql(many.primary, "DELETE FROM instances WHERE name IN ('b', 'c')")
    second = instance_obj.InstanceList.get_all(
        context.new(), limit=2, marker=first.next_marker)
    assert [one.name for one in second] == ['d', 'e']


def test_a_page_may_come_from_a_replica(fresh, pair):
    ctxt = context.new()
    found = instance_obj.InstanceList.get_all(ctxt, limit=1, use_slave=True)
    assert found[0].power_state == fixtures.REPLICA
    assert ctxt.reads.last.role == 'replica'


@pytest.mark.both_transports
@pytest.mark.parametrize('read', [
    instance_obj.InstanceList.get_all, host_obj.HostList.get_all,
    host_obj.ComputeNodeList.get_all])
def test_what_is_malformed_is_one_line_over_rpc(host_side, read):
    with pytest.raises(exception.InvalidMarker, match="Marker 'nonsense'"):
        read(context.new(), marker='nonsense')
    with pytest.raises(exception.InvalidLimit, match='limited to 0'):
        read(context.new(), limit=0)


# Each character grows on the wire, by two to seven times.
BOOK = '\\\u00fc"\x01' * 15000


@pytest.fixture
def library(pair):
    """Instances with texts as long as books: one list of them is 90 MiB."""
    for number in range(300):
        pair.add_instance(
            pair.primary, uuid=f'00000000-0000-4000-8000-{number:012}',
            name='book', command=BOOK)


@pytest.mark.both_transports
def test_texts_as_long_as_books_fit_into_messages_page_by_page(
        library, host_side):
    found = pages(instance_obj.InstanceList.get_by_name, 'book')
    assert len(found) > 1
    assert ''.join(found) == 'book' * 300


class Calls:
    """A conductor that counts the calls, and may do something before each."""

    def __init__(self, inner):
        self._inner = inner
        self.names = []
        self.before = lambda: None

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def object_class_action_versions(self, context, name, method, *rest):
        self.before()
        self.names.append(method)
        return self._inner.object_class_action_versions(
            context, name, method, *rest)


@pytest.fixture
def calls(host_side):
    found = Calls(host_side.conductor)
    base.use_conductor(found)
    yield found
    base.use_conductor(host_side.conductor)


def whole(**kwargs):
    return instance_obj.InstanceList.get_whole_by_host(
        context.new(), fixtures.HOST, **kwargs)


def test_the_list_of_a_small_host_is_one_call(pair, calls):
    for number in range(500):
        pair.add_instance(pair.primary, name='small', uuid=(
            f'00000000-0000-4000-8000-{number:012}'))
    with calls_of_database(pair) as queries:
        found = whole()
    assert len(found) == 501
    assert calls.names == ['get_part_by_host']
    assert queries() == 1
    assert (found.next_marker, found.origin.revision) == (None, 7)


@contextlib.contextmanager
def calls_of_database(pair):
    """Tells how many queries the conductor has sent to the primary."""
    def so_far():
        primary, _ = base.conductor_of(context.new()).list_replicas(
            context.new())
        return sum(sum(found.values()) for found in
                   primary['queries'].values())
    before = so_far()
    yield lambda: so_far() - before


@pytest.mark.both_transports
def test_a_list_that_is_too_long_for_one_answer_comes_in_parts(
        library, calls):
    for kwargs in {'use_slave': False}, {'after': 'host'}:
        found = whole(**kwargs)
        uuids = [one.uuid for one in found]
        assert len(set(uuids)) == 301 and uuids == sorted(uuids)
        assert found.next_marker is None
        assert (found.origin.role, found.origin.revision) == ('primary', 7)
        assert found.tolerant is False
    assert set(calls.names) == {'get_part_by_host'}
    assert 2 * 7 <= len(calls.names) <= 2 * 12


def test_parts_of_different_moments_are_read_again(library, calls, pair):
    changes = [None, 1, None]

    def change():
        if changes and changes.pop(0):
            pair.sql(pair.primary, 'UPDATE hosts SET revision = 8')
            pair.sql(pair.primary, "DELETE FROM instances WHERE uuid LIKE "
                     "'%000000000299'")
    calls.before = change
    found = whole()
    assert (len(found), found.origin.revision) == (300, 8)


def test_a_pass_does_nothing_while_parts_differ(
        library, calls, pair, tmp_path, host_side):
    virt = memory.MemoryDriver(host_side.conf)
    manager = host_side.manager(virt)
    before = pair.sql(pair.primary, 'SELECT uuid, vm_state, power_state, '
                      'claim_id FROM instances')
    calls.before = lambda: pair.sql(
        pair.primary, 'UPDATE hosts SET revision = revision + 1')
    calls.names.clear()
    with pytest.raises(exception.ListChanged) as put_off:
        manager._sync_power_states(context.new())
    assert fixtures.HOST in str(put_off.value)
    assert isinstance(put_off.value, exception.PutOff)
    assert calls.names == ['get_part_by_host'] * 6
    assert pair.sql(pair.primary, 'SELECT uuid, vm_state, power_state, '
                    'claim_id FROM instances') == before


@pytest.mark.both_transports
def test_an_answer_that_is_too_large_is_one_line_at_once(
        library, host_side):
    """The list of a host is not a page. The next answers come as usual."""
    with pytest.raises(exception.AnswerTooLarge) as caught:
        instance_obj.InstanceList.get_by_host(context.new(), fixtures.HOST)
    assert 'InstanceList.get_by_host was done' in str(caught.value)
    assert 'larger than' in str(caught.value) or 'exceeds' in str(caught.value)
    assert '\n' not in str(caught.value)
    assert instance_obj.InstanceList.get_all(context.new(), limit=1)


@pytest.mark.both_transports
def test_a_request_that_is_too_large_is_one_line_at_once(pair, host_side):
    with pytest.raises(exception.BadRequest, match='Nothing was done') as (
            caught):
        instance_obj.InstanceList.get_all(context.new(), name='x' * (17 << 20))
    assert '\n' not in str(caught.value) and len(str(caught.value)) < 250
    assert not instance_obj.InstanceList.get_all(context.new(), name='x')
