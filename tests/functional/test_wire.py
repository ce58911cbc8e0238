"""What releases have put on the wire is understood by this one."""

import json

import pytest

import computed
from computed import manager
from computed.cmd.manage import instances
from computed.cmd.manage import tasks
from computed.objects import base
from computed.objects import payload as payload_obj
from computed.objects import versions
from computed.rpc import serializer
from computed.rpc import tickets
from computed.service import task_endpoint
from tests.wire import calls
from tests.wire import hosts
from tests.wire import loopback
from tests.wire import record

RELEASES = sorted(record.FOLDER.glob('*.json'))
NOW = 1767225700.0
ANEW = ('it no longer covers the code. If this release is not out yet: '
        '.venv/bin/python -m tests.wire.record')


@pytest.fixture(params=RELEASES, ids=lambda path: path.stem)
def recorded(request):
    return json.loads(request.param.read_text())


def test_this_release_is_recorded():
    path = record.FOLDER / f'{computed.__version__}.json'
    assert path in RELEASES, ANEW
    recorded = json.loads(path.read_text())
    assert loopback.called(recorded) == calls.remotable(), (
        f'{path.name}: see tests/wire/calls.py; {ANEW}')
    found = {one[versions.NAME]: one[versions.VERSION]
             for one in loopback.objects_in(recorded['calls'])}
    assert found == {name: cls.VERSION for name, [cls]
                     in base.registry.obj_classes().items()
                     # It never crosses RPC.
                     if not issubclass(cls, payload_obj.Payload)}, ANEW


def test_contexts_mean_what_they_meant(recorded):
    for meaning, values in recorded['contexts'].items():
        ctxt = calls.contexts()[meaning]
        assert loopback.understood(values) == (
            ctxt.lag_tolerant, ctxt.max_staleness, ctxt.tokens.to_dict())


def test_every_object_is_read_and_nothing_of_it_is_lost(recorded):
    read = serializer.Serializer().deserialize_entity
    for primitive in loopback.objects_in(recorded['calls']):
        again = read(None, primitive).obj_to_primitive()
        assert again[versions.DATA] == primitive[versions.DATA]


def test_fields_that_came_since_say_so(recorded):
    for primitive in loopback.objects_in(recorded['calls']):
        name = primitive[versions.NAME]
        [cls] = base.registry.obj_classes()[name]
        old = versions.parsed(primitive[versions.VERSION])
        assert {field for field in cls.fields
                if field not in primitive[versions.DATA]} <= {
            field for field, since in cls.SINCE.items()
            if versions.parsed(since) > old} | {base.DAMAGED} | UNSET.get(
                name, set()), (
            f'{name}: name new fields in SINCE')


# Before it is created, an instance lacks what the database gives it; the
# usage of one instance does not say when it was launched.
UNSET = {
    'BandwidthUsageList': {'launched'},
    'Instance': {
        'task_state', 'exit_code', 'fault', 'created_at',
        'task_state_since', 'build_started_at', 'launched_at', 'updated_at',
        'deleted_at', 'terminated_at', 'deleted', 'cleaned',
        'clean_attempts', 'clean_failed', 'revision', 'claim_id',
        'claim_owner', 'settled_claim_id'}}


def test_every_request_is_served_and_the_reply_read(recorded, tmp_path):
    conductor = loopback.Conductor(tmp_path)
    for call in recorded['calls']:
        reply = conductor.serve(call['request'])
        args = call['request']['args']
        # An older peer gets objects no newer than it knows.
        for one in loopback.objects_in(reply):
            theirs = args.get('object_versions', {}).get(one[versions.NAME])
            assert theirs is None or versions.parsed(
                one[versions.VERSION]) <= versions.parsed(theirs)
        assert shape(reply) >= shape(call['reply']), args
        serializer.Serializer().deserialize_entity(None, call['reply'])


def shape(value):
    """The keys of a reply, at every depth: none may disappear."""
    if isinstance(value, list):
        return {f'[].{key}' for member in value for key in shape(member)}
    if isinstance(value, dict):
        return {path for key, member in value.items()
                for path in {key, *(f'{key}.{rest}'
                                    for rest in shape(member))}}
    return set()


def test_every_call_to_a_host_is_recorded():
    path = record.FOLDER / f'{computed.__version__}.json'
    sent = {call['request']['method']
            for call in json.loads(path.read_text())['host_calls']}
    assert sent == {
        name for endpoint in (manager.ComputeManager,
                              task_endpoint.TaskEndpoint,
                              tickets.TicketEndpoint)
        for name in dir(endpoint)
        if getattr(getattr(endpoint, name), 'exposed', False)}, ANEW


# What the command line makes of each reply that it reads.
READERS = {
    'get_console_log': lambda text: text.splitlines(),
    'get_guest': lambda guest: instances.guest_cell('reason',
                                                    guest['reason']),
    'list_tasks': lambda found: [
        tasks.describe_fully(one, [], NOW) for one in found],
    'get_task_history': lambda history: [
        tasks.one_line(record) for record in history],
    'run_task': tasks.describe_run,
    'get_ticket': lambda ticket: tickets.limited(ticket, 1),
    'list_regressed': lambda held: [(one['uuid'], one['name'])
                                    for one in held],
}


def test_every_request_is_served_by_a_host_and_the_reply_read(
        recorded, tmp_path):
    read = set()
    with hosts.serving(tmp_path) as serve:
        for call in recorded['host_calls']:
            reply, method = serve(call['request']), call['request']['method']
            assert shape(reply) >= shape(call['reply']), method
            if method in READERS:
                assert READERS[method](call['reply'])
                read.add(method)
            else:
                assert call['reply'] is None
    assert read == set(READERS)


def test_this_release_still_sends_what_it_has_recorded(tmp_path):
    path = record.FOLDER / f'{computed.__version__}.json'
    before, now = json.loads(path.read_text()), record.record(tmp_path)
    for kind in ('calls', 'host_calls'):
        assert shape(now[kind]) == shape(before[kind]), ANEW
