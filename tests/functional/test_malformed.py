"""Whatever a peer sends, it gets one typed error, and the log no traceback.

Sound arguments of every method that peers can call are made from its
annotations. Then each part of them is dropped, and replaced by values that
no sound peer sends. Some are accepted; none is a fault of this program.
"""

import functools
import types

import oslo_messaging as messaging
import pytest
from oslo_versionedobjects import base as ovo

from computed import context
from computed import exception
from computed import objects
from computed.conductor import manager as conductor_manager
from computed.objects import grant as grant_obj
from computed.objects import host as host_obj
from computed.objects import instance as instance_obj
from computed.objects import versions
from computed.periodic import runner
from computed.rpc import dispatch
from computed.rpc import serializer
from computed.rpc import tickets
from computed.service import task_endpoint
from tests.support import fixtures
from tests.support import malformed

# Replacements of each part of the arguments of a method.
EACH = 2
# What tells of a fault of the program, or of the test.
FAULTS = (exception.PeerFailed, exception.OutcomeUnknown,
          exception.ConductorUnavailable, exception.PrimaryUnavailable)
NODE = {'hypervisor_type': 'process', 'hypervisor_version': '1', 'vcpus': 8,
        'memory_mb': 1, 'disk_gb': 1, 'service_id': fixtures.SERVICE}
GIVEN = {'ComputeNode.record': {'values': NODE},
         'BandwidthUsageList.get_by_uuids': {'uuids': [fixtures.UUID],
                                             'periods': [0.0]}}
objects.register_all()


def class_methods():
    for name, [cls, *_] in sorted(
            ovo.VersionedObjectRegistry.obj_classes().items()):
        for method in sorted(vars(cls)):
            found = getattr(cls, method)
            if getattr(found, 'remotable', False) and (
                    getattr(found, '__self__', None) is cls):
                yield f'{name}.{method}'


def instance(**values):
    """An instance as it crosses the wire."""
    found = instance_obj.Instance(context.new(), **{
        **fixtures.INSTANCE, 'uuid': malformed.sample('new', str), **values})
    return found.obj_to_primitive()


@pytest.fixture
def ask(host_side, pair):
    """Make a call of a conductor, as any peer may."""
    fixtures.add_service(pair.primary, fixtures.HOST)
    before = len(pair.program.output())

    def ask(method, **kwargs):
        with host_side.conductor._calling(context.new(), method):
            return host_side.conductor._client.call(
                context.new(), method, **kwargs)
    [[ask.database_id]] = pair.sql(
        pair.primary, 'SELECT uuid FROM database_identity')
    yield ask
    assert 'Traceback' not in pair.program.output()[before:]
    # Whatever was accepted spoils no list.
    for found in (host_obj.HostList, host_obj.ComputeNodeList,
                  instance_obj.InstanceList):
        for row in found.get_all(context.new()):
            assert row.damaged_fields() == []


def refused(call, sent):
    """Whether a call is refused, by an error of ours in one line."""
    try:
        call(sent)
    except FAULTS as error:
        pytest.fail(f'{type(error).__name__}: {error}')
    except exception.ComputedError as error:
        assert 'SQL' not in str(error) and '\n' not in str(error)
        return True
    return False


def attack(call, sound, name):
    """Make a call in every malformed way; return how often it is refused."""
    found = 0
    for path, sent in malformed.variants(sound, name, EACH):
        try:
            found += refused(call, sent)
        except BaseException as error:
            error.add_note(f'{name}: {path}')
            raise
    return found


@pytest.mark.parametrize('name', list(class_methods()))
def test_each_method_of_a_class(ask, name):
    objname, method = name.split('.')
    cls = ovo.VersionedObjectRegistry.obj_classes()[objname][0]
    found = getattr(cls, method)
    sound = malformed.arguments_of(
        getattr(found, 'original_fn', found), 2,
        database_id=ask.database_id, **GIVEN.get(name, {}))

    def call(sent):
        ask('object_class_action_versions', objname=objname, objmethod=method,
            object_versions=ovo.obj_tree_get_versions(objname), args=[],
            kwargs=sent)
    refused(call, sound)
    assert attack(call, sound, name) or not sound


@pytest.mark.parametrize('name', ['service_id', 'owner'])
def test_an_owner_that_no_pattern_can_match(ask, name):
    """A database refuses a pattern of this length."""
    sound = malformed.arguments_of(grant_obj.Grant.adopt_claim, 1)
    with pytest.raises(exception.BadRequest, match=f'{name} (is not|has)'):
        ask('object_class_action_versions', objname='Grant',
            objmethod='adopt_claim', args=[],
            object_versions=ovo.obj_tree_get_versions('Grant'),
            kwargs={**sound, name: 'x' * 100_000})


@pytest.mark.parametrize('method', ['create', 'save'])
def test_each_method_of_an_object(ask, method):
    sound = instance(uuid=fixtures.UUID, revision=7)

    def call(sent):
        ask('object_action', objinst=sent, objmethod=method, args=[],
            kwargs={})
    assert attack(call, sound, method)


@pytest.mark.parametrize('changes', [
    {'revision': 9}, {'claim_id': fixtures.UUID}, {'deleted': True},
    {'created_at': '2026-01-01T00:00:00Z'}])
def test_nobody_creates_what_only_a_conductor_writes(ask, changes):
    sent = instance(uuid=fixtures.SERVICE, **changes)
    with pytest.raises(exception.InvalidValue, match='cannot be chosen'):
        ask('object_action', objinst=sent, objmethod='create', args=[],
            kwargs={})


def test_the_endpoint_of_a_conductor(ask):
    found = conductor_manager.ConductorManager
    for name, given in (
            ('object_class_action_versions', {
                'objname': 'InstanceList', 'objmethod': 'get_by_host',
                'object_versions': {'InstanceList': '1.1', 'Instance': '1.0'},
                'args': [fixtures.HOST], 'kwargs': {'limit': 1}}),
            ('object_action', {
                'objinst': instance(), 'objmethod': 'create', 'args': [],
                'kwargs': {}}),
            ('object_backport_versions', {
                'objinst': instance(), 'object_versions': {
                    'Instance': '1.0'}})):
        sound = malformed.arguments_of(
            getattr(found, name), 2, **given)
        assert attack(lambda sent, name=name: ask(name, **sent), sound,
                      name)


def test_the_context_of_a_call(ask, host_side, monkeypatch):
    """What is not understood in it makes a read strict; see test_tolerance."""
    plain = host_side.conductor._client.serializer
    sound = {**context.RequestContext(lag_tolerant=True).to_dict(),
             'max_staleness': 5.0, 'tokens': {ask.database_id: {
                 'incarnation': None, 'revisions': {fixtures.HOST: 1}}}}

    def call(sent):
        monkeypatch.setattr(plain, 'serialize_context', lambda ctxt: sent)
        ask('object_class_action_versions', objname='InstanceList',
            objmethod='get_by_host', args=[fixtures.HOST], kwargs={},
            object_versions={'InstanceList': '1.1', 'Instance': '1.0'})
    refused(call, sound)
    attack(call, sound, 'context')
    monkeypatch.undo()


@pytest.fixture
def host_endpoints(manager, tmp_path):
    return [manager, task_endpoint.TaskEndpoint(runner.Runner(
        manager.conf, manager, context.new, tmp_path), 10)]


def test_each_method_of_a_host(host_endpoints, caplog):
    dispatcher = dispatch.Dispatcher(host_endpoints, serializer.Serializer())

    def ask(method, sent):
        try:
            return dispatcher.dispatch(types.SimpleNamespace(
                ctxt=context.new().to_dict(), client_timeout=None,
                message={'method': method, 'args': sent}))
        except messaging.ExpectedException as error:
            raise error.exc_info[1] from None
    ticket = tickets.limited(ask('get_ticket', {}), 600)
    found = 0
    for owner in host_endpoints:
        for name in dir(owner):
            method = getattr(owner, name)
            if not getattr(method, 'exposed', False):
                continue
            sound = malformed.arguments_of(method, 1)
            if getattr(method, 'needs_ticket', False):
                sound['ticket'] = ticket
            found += attack(functools.partial(ask, name), sound, name)
    assert found > 100
    assert not [one for one in caplog.records if one.exc_info]


def test_versions_that_are_no_versions():
    for version in ('1', '1.', '1.x', '1.-5', '1.0.junk', '١.٠', '1_0.0', '',
                    None, 7, ' 1.0', '1.0\n'):
        with pytest.raises(exception.IncompatiblePeer):
            versions.common('Instance', version)
    assert versions.common('Instance', '1.0.5') == '1.0'


def test_a_field_that_was_never_set_is_named():
    blank = instance_obj.Instance(context.new(), uuid=fixtures.UUID)
    with pytest.raises(exception.FieldNotSet, match='Instance has no host'):
        blank.save()
