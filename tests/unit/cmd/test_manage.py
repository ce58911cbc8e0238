import argparse
import io
import json
import logging
import types

import pytest

from computed import context
from computed import exception
from computed import states
from computed.cmd.manage import app
from computed.cmd.manage import base as manage_base
from computed.cmd.manage import columns
from computed.cmd.manage import hosts
from computed.cmd.manage import lookup
from computed.cmd.manage import replicas
from computed.cmd.manage import tasks
from computed.objects import base
from computed.objects import host as host_obj
from computed.objects import instance as instance_obj

UUID = '11111111-2222-4333-8444-55555555555{}'
RECORD = {
    'task': '_sync', 'request_id': 'req-1', 'started_at': 1000.0,
    'duration': 0.25, 'outcome': 'ok', 'error': None, 'candidates': 3,
    'acted': 1, 'recorded': 0, 'lost_races': 2, 'refused': 0, 'note': None,
    'reads': {'replica': 2, 'primary': 1}, 'triggered': False}
TASK = {'name': '_sync', 'spacing': 600, 'next_run_at': 1010.0,
        'last': RECORD, 'running_since': None, 'runs': 1, 'failures': 0,
        'skipped_overlap': 0}


def instance(number=1, name='web', **values):
    values = {'host': 'here', 'vm_state': states.ACTIVE, 'task_state': None,
              'power_state': states.RUNNING, 'command': 'sleep 9',
              'vcpus': 1, 'memory_mb': 0, 'disk_gb': 0, 'network': 'host',
              'exit_code': None, 'fault': None, 'created_at': None,
              'launched_at': None, 'updated_at': None, 'deleted_at': None,
              'deleted': False, 'revision': 7, 'claim_id': None,
              'claim_owner': None, **values}
    return instance_obj.Instance(
        uuid=UUID.format(number), name=name, **values)


def host(name='here', silent_for=1.0, instances=0, digest='{}'):
    service = None if silent_for is None else host_obj.Service(
        host=name, service_id=UUID.format(1), boot_id=UUID.format(2),
        host_boot_id='x', version='1', last_seen='2026-01-02T03:04:05Z',
        silent_for=silent_for, digest=digest)
    return host_obj.Host(
        name=name, revision=3, created_at='2026-01-02T03:04:05Z',
        instances=instances, service=service, compute_node=None)


class Deployment:
    """Stands for conductors and hosts: every call that leaves the program.

    :ivar replica: instances that a replica knows, if not those of the
        primary
    """

    def __init__(self):
        self.context = context.new()
        self.hosts = self.conductor = self
        self.all_hosts = [host()]
        self.primary = []
        self.replica = None
        self.operated = []
        self.refusals = {}
        self.record = RECORD

    # an indirection_api

    def object_class_action_versions(self, context, objname, objmethod,
                                     versions, args, kwargs):
        known = self.primary
        if context.lag_tolerant and self.replica is not None:
            known = self.replica
        return getattr(self, f'{objname}_{objmethod}')(known, *args)

    def object_action(self, context, objinst, objmethod, args, kwargs):
        self.primary.append(instance(
            9, **{name: getattr(objinst, name) for name in (
                'name', 'host', 'vm_state', 'power_state', 'command')}))
        self.primary[-1].uuid = objinst.uuid
        return {'obj_what_changed': []}, None

    def Instance_get_by_uuid(self, known, uuid):
        for one in known:
            if one.uuid == uuid:
                return one
        raise exception.InstanceNotFound(instance=uuid)

    def InstanceList_get_by_name(self, known, name):
        return instance_obj.InstanceList(objects=[
            one for one in known if one.name == name and not one.deleted])

    def InstanceList_get_all(self, known):
        return instance_obj.InstanceList(objects=known)

    def HostList_get_all(self, known):
        return host_obj.HostList(objects=self.all_hosts)

    # a HostAPI

    def operate(self, context, host, operation, uuid, hard=False):
        if uuid in self.refusals or host in self.refusals:
            raise self.refusals.get(uuid) or self.refusals[host]
        self.operated.append((operation, uuid, hard))

    def run_task(self, context, host, name, accept=None):
        return self.record


@pytest.fixture
def deployment(monkeypatch):
    found = Deployment()
    monkeypatch.setattr(base.ComputedObject, 'indirection_api', found)
    return found


@pytest.fixture
def manage(deployment):
    """Runs one command; returns its exit status and what it printed."""
    def run(*argv):
        out = io.StringIO()
        program = app.ManageApp(stdout=out)
        program.options = program.parser.parse_args([])
        program.conf = types.SimpleNamespace(
            host='here', service_down_time=60)
        program.session = deployment
        return program.run_subcommand(list(argv)), out.getvalue()
    return run


# -- arguments

@pytest.mark.parametrize('name', app.COMMANDS)
def test_each_command_is_found_and_says_what_it_is_for(name):
    program = app.ManageApp()
    found, _, rest = program.command_manager.find_command(name.split())
    assert found is app.COMMANDS[name] and not rest
    assert found(program, None).get_parser(name).description


@pytest.mark.parametrize('argv', [
    ['--state-path', '/s', '--config-file', '/a', '--config-file', '/b',
     'host', 'list'],
    ['host', 'list', '--config-file', '/a', '--state-path', '/s',
     '--config-file', '/b']])
def test_global_options_may_stand_anywhere(argv):
    options, rest = app.ManageApp().parser.parse_known_args(argv)
    assert rest == ['host', 'list']
    assert app.config_arguments(options) == [
        '--config-file', '/a', '--config-file', '/b', '--state-path', '/s']


def test_global_options_do_not_take_those_of_commands():
    argv = ['instance', 'create', 'web', '--command', 'x', '--host', 'h',
            '--vcpus', '2', '-c', 'uuid', '-f', 'value']
    assert app.ManageApp().parser.parse_known_args(argv)[1] == argv


@pytest.mark.parametrize('text', ['', ' ', ' web', 'web\n', 'x' * 256])
def test_a_name_that_could_not_be_typed_again_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError):
        manage_base.name(text)
    assert manage_base.name('web 1 ü') == 'web 1 ü'


@pytest.mark.parametrize('text, accepted', [
    ('0', False), ('x', False), ('1.5', False), ('1', True)])
def test_numbers_have_a_least_value(text, accepted):
    try:
        assert manage_base.at_least(1)(text) == 1 and accepted
    except argparse.ArgumentTypeError as error:
        assert text in str(error) and not accepted


def test_an_unknown_command_is_a_usage_error(manage, caplog):
    assert manage('instance', 'destroy')[0] == 2
    assert 'There is no command instance destroy.' in caplog.text
    assert 'instance delete' in caplog.text


def test_an_error_is_shown_by_its_first_line():
    line = app.FirstLine('p: %(message)s').format(logging.makeLogRecord(
        {'msg': 'it broke\nTraceback:\n  ...'}))
    assert line == 'p: it broke'


# -- which instance

def test_an_instance_is_named_by_name_or_uuid(deployment):
    deployment.primary = [instance(1, 'web'), instance(2, 'db')]
    for name in ('db', UUID.format(2), UUID.format(2).replace('-', '')):
        found = lookup.instance(deployment.context, name)
        assert found.uuid == UUID.format(2)


def test_a_name_may_look_like_a_uuid(deployment):
    deployment.primary = [instance(1, UUID.format(8))]
    found = lookup.instance(deployment.context, UUID.format(8))
    assert found.uuid == UUID.format(1)


def test_of_several_instances_none_is_chosen(deployment):
    deployment.primary = [instance(2), instance(1)]
    with pytest.raises(exception.InstanceAmbiguous) as caught:
        lookup.instance(deployment.context, 'web')
    assert f'{UUID.format(1)}, {UUID.format(2)}' in str(caught.value)


def test_who_acts_is_told_by_the_primary(deployment):
    deployment.primary = []
    deployment.replica = [instance()]
    for name in ('web', UUID.format(1)):
        with pytest.raises(exception.InstanceNotFound):
            lookup.instance(deployment.context, name)


def test_what_a_replica_does_not_know_yet_is_asked_of_the_primary(deployment):
    deployment.primary = [instance()]
    deployment.replica = []
    for name in ('web', UUID.format(1)):
        assert lookup.instance(deployment.context, name, tolerant=True)


def test_a_deleted_instance_can_be_looked_at_but_not_acted_upon(deployment):
    deployment.primary = [instance(deleted=True)]
    name = UUID.format(1)
    assert lookup.instance(deployment.context, name, deleted=True).deleted
    with pytest.raises(exception.InstanceNotFound):
        lookup.instance(deployment.context, name)


# -- which host

@pytest.mark.parametrize('silent_for, up', [
    (0.0, True), (60.0, True), (60.1, False), (None, False)])
def test_a_host_is_down_after_a_silence(silent_for, up):
    assert lookup.is_up(host(silent_for=silent_for).service, 60) is up


@pytest.mark.parametrize('known, chosen', [
    ([host('a'), host('here', instances=9)], 'here'),
    ([host('a', instances=2), host('b', instances=1),
      host('here', silent_for=61)], 'b'),
    ([host('b'), host('a')], 'a'),
])
def test_a_new_instance_is_built_here_or_where_there_are_fewest(
        known, chosen):
    assert lookup.host_for_new(known, 'here', 60) == chosen


def test_without_a_host_that_is_up_nothing_is_created(
        manage, deployment, caplog):
    deployment.all_hosts = [host(silent_for=99), host('b', silent_for=None)]
    assert manage('instance', 'create', 'web', '--command', 'x')[0] == 1
    assert 'No host is up' in caplog.text
    assert not deployment.primary


# -- waiting

class Clock:
    now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def looks(*found):
    """A ``read`` that has or raises one after the other, the last for ever.
    """
    left = list(found)

    def read():
        one = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(one, Exception):
            raise one
        return one
    return read


def test_waiting_ends_when_nobody_works_on_it_any_more():
    done = instance(vm_state=states.STOPPED)
    assert lookup.wait(looks(
        instance(task_state=states.POWERING_OFF, claim_id='c'),
        instance(claim_id='c'),
        exception.ConductorUnavailable(url='u'), done), 10, Clock()) is done


@pytest.mark.parametrize('values', [
    {'fault': 'stop: no'}, {'vm_state': states.ERROR}])
def test_waiting_for_what_failed_says_why(values):
    with pytest.raises(exception.ComputedError) as caught:
        lookup.wait(looks(instance(**values)), 10, Clock())
    assert 'web' in str(caught.value)
    assert (values.get('fault') or 'error') in str(caught.value)


@pytest.mark.parametrize('last, said', [
    (instance(task_state=states.DELETING), 'still deleting after 10 s'),
    (exception.ConductorUnavailable(url='u'), 'No conductor answers at u')])
def test_waiting_has_an_end(last, said):
    clock = Clock()
    with pytest.raises(exception.ComputedError) as caught:
        lookup.wait(looks(last), 10, clock)
    assert said in str(caught.value)
    assert 10 <= clock.now < 12


# -- what is printed

def test_instances_in_json_have_the_agreed_keys(manage, deployment):
    deployment.primary = [instance(power_state=states.SHUTDOWN)]
    code, printed = manage('instance', 'list', '-f', 'json')
    assert (code, json.loads(printed)) == (0, [{
        'uuid': UUID.format(1), 'name': 'web', 'host': 'here',
        'vm_state': 'active', 'task_state': None,
        'power_state': 'SHUTDOWN'}])


@pytest.mark.parametrize('options, name', [
    ([], 'old'), (['--strict'], 'new')])
def test_a_list_may_come_from_a_replica_unless_it_must_not(
        manage, deployment, options, name):
    deployment.primary = [instance(name='new')]
    deployment.replica = [instance(name='old')]
    assert manage('instance', 'list', '-f', 'value', '-c', 'name',
                  *options) == (0, f'{name}\n')


def test_create_prints_the_instance_as_the_primary_has_it(manage, deployment):
    code, printed = manage('instance', 'create', 'web', '--command',
                           'sleep 9', '-f', 'json')
    shown = json.loads(printed)
    assert code == 0
    assert {'name': 'web', 'host': 'here', 'vm_state': 'building',
            'power_state': 'NOSTATE'}.items() <= shown.items()
    assert deployment.operated == [('build', shown['uuid'], False)]


def test_create_says_what_is_left_if_the_host_does_not_answer(
        manage, deployment, caplog):
    deployment.refusals['here'] = exception.HostUnavailable(host='here')
    assert manage('instance', 'create', 'web', '--command', 'x')[0] == 1
    assert deployment.primary[0].uuid in caplog.text
    assert 'is recorded as building' in caplog.text


def test_trouble_with_one_instance_does_not_spare_the_others(
        manage, deployment, caplog):
    deployment.primary = [instance(1, 'a'), instance(2, 'b')]
    deployment.refusals[UUID.format(1)] = exception.InstanceBusy(
        uuid=UUID.format(1), task_state='pausing')
    code, printed = manage('instance', 'stop', 'nope', 'a', 'b')
    assert (code, printed) == (1, 'b: stop begun\n')
    assert deployment.operated == [('stop', UUID.format(2), False)]
    assert 'No instance nope' in caplog.text and 'is busy' in caplog.text


def test_a_reboot_can_be_hard(manage, deployment):
    deployment.primary = [instance()]
    assert manage('instance', 'reboot', '--hard', 'web')[0] == 0
    assert deployment.operated == [('reboot', UUID.format(1), True)]


@pytest.mark.parametrize('outcome, status', [
    ('ok', 0), ('put_off', 0), ('error', 1)])
def test_running_a_task_exits_with_1_if_it_failed(
        manage, deployment, outcome, status):
    deployment.record = {**RECORD, 'outcome': outcome}
    assert manage('task', 'run', '_sync', '-f', 'value', '-c', 'outcome') == (
        status, f'{outcome}\n')


def shown(cells):
    """What people see of some cells."""
    return {name: cell.human_readable() if isinstance(cell, columns.Cell)
            else cell for name, cell in cells.items()}


def test_a_host_shows_its_state_and_what_its_tasks_lack():
    found = host(silent_for=61, digest=json.dumps(
        {'tasks': 2, 'failing': ['_a', '_b'], 'overdue': []}))
    assert shown(hosts.describe(found, 60)) == {
        'host': 'here', 'state': 'down', 'last_seen': '61 s ago',
        'instances': 0, 'tasks': '2', 'failing': '_a, _b', 'overdue': '-',
        'version': '1', 'revision': 3}


@pytest.mark.parametrize('found', [
    host(silent_for=None), host(digest=''), host(digest='[]')])
def test_a_host_that_said_nothing_of_its_tasks_is_shown(found):
    assert shown(hosts.describe_fully(found, 60))['tasks'] == '-'


def test_a_task_shows_how_it_last_went_and_when_it_goes_on():
    assert tuple(tasks.describe(TASK, 1005.0)) == tasks.COLUMNS
    assert shown(tasks.describe(TASK, 1005.0)) == {
        'name': '_sync', 'spacing': '600 s', 'last_run': '5 s ago',
        'outcome': 'ok', 'duration': '0.25 s', 'candidates': '3',
        'acted': '1', 'lost_races': '2', 'reads': 'replica 2, primary 1',
        'next_run': 'in 5 s'}


def test_a_task_that_is_off_or_runs_says_so():
    off = {**TASK, 'last': None, 'spacing': 0, 'next_run_at': None}
    assert shown(tasks.describe(off, 1005.0))['spacing'] == 'off'
    assert shown(tasks.describe(off, 1005.0))['last_run'] == '-'
    running = {**TASK, 'running_since': 1002.0}
    assert shown(tasks.describe(running, 1005.0))['next_run'] == (
        'running for 3 s')


def test_a_node_that_never_answered_has_no_age():
    node = {'node': 'db2:3306', 'role': 'replica', 'usable': False,
            'reason': 'error', 'age': None, 'share': 0.5, 'reads': 0,
            'ejections': 1}
    assert tuple(replicas.describe(node)) == replicas.COLUMNS
    assert shown(replicas.describe(node)) == {
        **{name: str(value) for name, value in node.items()},
        'usable': False, 'age': '-', 'share': '50%'}


@pytest.mark.parametrize('role, line', [
    ('primary', 'primary db1, 0.0 s'),
    ('replica', 'replica db1, at most 0.0 s old')])
def test_an_origin_tells_node_and_age(role, line):
    found = context.Origin(role, 'db1', 'strict', 0.04)
    assert str(columns.origin(found)) == line


@pytest.mark.parametrize('seconds, text', [
    (0.4, '0 s'), (119, '119 s'), (120, '2 min'), (7200, '2 h'),
    (172800, '2 d')])
def test_lengths_of_time_are_coarse(seconds, text):
    assert columns.span(seconds) == text


def test_programs_get_times_in_utc():
    assert columns.relative(1000.5, 0).machine_readable() == (
        '1970-01-01T00:16:40Z')
