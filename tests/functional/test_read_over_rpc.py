"""A read from a host's object to a database and back, all parts real."""

import pytest

from computed import context
from computed import exception
from computed.objects import host as host_obj
from computed.objects import instance as instance_obj
from computed.objects import resources as resources_obj
from tests.support import fixtures
from tests.support import waiting

NAMES = {fixtures.PRIMARY: 'primary', fixtures.REPLICA: 'replica'}


def read(ctxt, **kwargs):
    return instance_obj.InstanceList.get_by_host(
        ctxt, fixtures.HOST, **kwargs)


def answered(ctxt, **kwargs):
    return NAMES[read(ctxt, **kwargs)[0].power_state]


@pytest.mark.parametrize('lag_tolerant, use_slave, node', [
    (False, None, 'primary'),
    (False, True, 'replica'),
    (False, False, 'primary'),
    (True, None, 'replica'),
    (True, True, 'replica'),
    (True, False, 'primary'),
])
def test_who_answers(fresh, lag_tolerant, use_slave, node):
    ctxt = context.RequestContext(lag_tolerant=lag_tolerant)
    assert answered(ctxt, use_slave=use_slave) == node
    assert ctxt.lag_tolerant is lag_tolerant


def test_every_read_accepts_use_slave(fresh):
    ctxt = context.new()
    for call, args in (
            (instance_obj.Instance.get_by_uuid, [fixtures.UUID]),
            (instance_obj.InstanceList.get_all, []),
            (instance_obj.InstanceList.get_by_name, ['web']),
            (host_obj.Host.get_by_name, [fixtures.HOST]),
            (host_obj.HostList.get_all, []),
            (host_obj.Service.get_by_host, [fixtures.HOST]),
            (host_obj.ComputeNode.get_by_host, [fixtures.HOST]),
            (host_obj.ComputeNodeList.get_all, []),
            (resources_obj.ResourceUsage.get_by_host,
             [fixtures.HOST, fixtures.UUID])):
        for use_slave, role in ((True, 'replica'), (False, 'primary'),
                                (None, 'primary')):
            call(ctxt, *args, use_slave=use_slave)
            assert ctxt.reads.last.role == role, call


def test_the_answer_says_where_it_came_from_and_how_old_it_is(fresh):
    found = read(context.new(), use_slave=True)
    for origin in (found.origin, found[0].origin):
        assert origin.role == 'replica'
        assert origin.node.endswith('replica.sqlite')
        assert 0 < origin.age <= 2
        assert origin.revision == 7


def test_an_empty_list_says_how_new_it_is(fresh, pair):
    ctxt = context.new()
    pair.sql(pair.primary, 'DELETE FROM instances')
    assert len(read(ctxt)) == 0
    assert ctxt.reads.last.revision == 7


def test_a_replica_that_stands_still_is_left_within_the_bound(fresh, pair):
    pair.stop_replication()
    waiting.wait_for(
        lambda: answered(context.new(), use_slave=True) == 'primary', 5)


def test_an_object_from_a_stale_replica_cannot_overwrite_a_newer_row(
        fresh, pair):
    stale = instance_obj.Instance.get_by_uuid(
        context.new(), fixtures.UUID, use_slave=True)
    fresh_one = instance_obj.Instance.get_by_uuid(
        context.new(), fixtures.UUID)
    fresh_one.name = 'renamed'
    fresh_one.save()
    assert fresh_one.revision == 8
    assert stale.revision == 7
    # What the conductor would get: it does not know how this was read.
    stale = instance_obj.Instance.obj_from_primitive(
        stale.obj_to_primitive(), context.new())
    stale.name = 'too late'
    with pytest.raises(exception.InstanceChanged):
        stale.save()
    assert pair.sql(pair.primary, 'SELECT name FROM instances') == [
        ('renamed',)]


def test_an_object_that_was_read_tolerantly_is_not_saved(fresh, pair):
    """Not even while it is true, and before any call to the conductor."""
    tolerant = context.RequestContext(lag_tolerant=True)
    uuid = fixtures.UUID
    [member] = read(context.new(), use_slave=True)
    for stale in (
            member,
            instance_obj.Instance.get_by_uuid(tolerant, uuid),
            instance_obj.Instance.get_by_uuid(
                context.new(), uuid, use_slave=True).obj_clone()):
        stale.name = 'too bold'
        with pytest.raises(exception.TolerantObject) as refused:
            stale.save()
        assert refused.value.kwargs == {
            'name': 'Instance', 'key': uuid, 'method': 'save'}
        assert 'without use_slave' in str(refused.value)
    assert pair.sql(pair.primary, 'SELECT name FROM instances') == [('web',)]


@pytest.mark.parametrize('how', [
    {'use_slave': False}, {'after': 'host'}])
def test_an_object_that_was_read_strictly_is_saved(fresh, pair, how):
    tolerant = context.RequestContext(lag_tolerant=True)
    [found] = read(tolerant, **how)
    found._context = context.new()
    found.name = 'renamed'
    found.save()
    assert pair.sql(pair.primary, 'SELECT name FROM instances') == [
        ('renamed',)]


def test_a_tolerant_object_is_saved_after_a_strict_refresh(fresh):
    found = instance_obj.Instance.get_by_uuid(
        context.new(), fixtures.UUID, use_slave=True)
    found.refresh()
    found.name = 'renamed'
    found.save()
    assert found.revision == 8


def test_a_save_in_a_tolerant_context_is_refused(fresh):
    found = instance_obj.Instance.get_by_uuid(
        context.RequestContext(lag_tolerant=True), fixtures.UUID,
        use_slave=False)
    found.name = 'x'
    with pytest.raises(exception.ReadOnlyScope):
        found.save()


@pytest.mark.parametrize('use_slave, role', [
    (True, 'replica'), (None, 'replica'), (False, 'primary')])
def test_what_was_read_strictly_is_refreshed_strictly(
        fresh, use_slave, role):
    tolerant = context.RequestContext(lag_tolerant=True)
    found = instance_obj.Instance.get_by_uuid(
        tolerant, fixtures.UUID, use_slave=use_slave)
    found.refresh()
    assert tolerant.reads.last.role == role


def test_refresh_never_goes_back_in_time(fresh):
    found = instance_obj.Instance.get_by_uuid(context.new(), fixtures.UUID)
    found.name = 'renamed'
    found.save()
    found._context = context.RequestContext(lag_tolerant=True)
    found.refresh()
    assert (found.name, found.revision) == ('renamed', 8)


def test_a_request_reads_its_own_writes_through_rpc(fresh):
    ctxt = context.new()
    found = instance_obj.Instance.get_by_uuid(ctxt, fixtures.UUID)
    found.name = 'renamed'
    found.save()
    assert read(ctxt, use_slave=True)[0].name == 'renamed'
    assert read(context.new(), use_slave=True)[0].name == 'web'


def test_an_error_keeps_its_type_and_its_one_line(fresh):
    with pytest.raises(exception.InstanceNotFound) as caught:
        instance_obj.Instance.get_by_uuid(context.new(), 'nobody')
    assert type(caught.value) is exception.InstanceNotFound
    assert str(caught.value) == (
        'There is no instance nobody. '
        '`computed-manage instance list` shows all.')


@pytest.mark.parametrize('method', ['_from_rows', 'obj_name', 'from_row'])
def test_only_remotable_methods_can_be_called(fresh, method):
    with pytest.raises(exception.NotRemotable):
        fresh.conductor.object_class_action_versions(
            context.new(), 'InstanceList', method, {'InstanceList': '1.0'},
            [], {})


def test_a_method_of_objects_is_none_of_their_class(fresh):
    for method in ('create', 'save'):
        with pytest.raises(exception.NotRemotable):
            fresh.conductor.object_class_action_versions(
                context.new(), 'Instance', method, {'Instance': '1.0'}, [],
                {})
    with pytest.raises(exception.NotRemotable):
        fresh.conductor.object_action(
            context.new(), instance_obj.Instance(), 'get_by_uuid',
            [{}, 'nobody'], {})


@pytest.mark.parametrize('args, kwargs, problem', [
    ([], {}, "'host'"), ([7], {}, 'host is not str'),
    (['h1'], {'limits': 1}, "'limits'"),
    (['h1', 'h2', 'h3', 'h4'], {}, 'too many'),
    ('h1', {}, 'args is not tuple'), (['h1'], [], 'kwargs is not dict')])
def test_a_malformed_call_of_a_method_is_one_error(
        host_side, args, kwargs, problem):
    with pytest.raises(exception.BadRequest, match=problem) as refused:
        host_side.conductor.object_class_action_versions(
            context.new(), 'InstanceList', 'get_by_host',
            {'InstanceList': '1.1', 'Instance': '1.0'}, args, kwargs)
    assert '\n' not in str(refused.value)


def test_without_a_conductor_the_error_comes_at_once(tmp_path):
    with fixtures.HostSide(tmp_path, tmp_path):
        with pytest.raises(exception.ConductorUnavailable, match='unix://'):
            read(context.new())
