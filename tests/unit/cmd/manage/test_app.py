import argparse
import csv
import io
import json
import logging
import shlex

import pytest

from computed import context
from computed import exception
from computed import states
from computed.cmd import setup
from computed.cmd.manage import app
from computed.cmd.manage import base
from tests.support import deployment as fake


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
            '--vcpus', '2', '-c', 'uuid', '-f', 'value', '--st']
    assert app.ManageApp().parser.parse_known_args(argv)[1] == argv


@pytest.mark.parametrize('text', ['', ' ', ' web', 'web\n', 'x' * 256])
def test_a_name_that_could_not_be_typed_again_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError):
        base.name(text)
    assert base.name('web 1 ü') == 'web 1 ü'


@pytest.mark.parametrize('text, accepted', [
    ('0', False), ('x', False), ('1.5', False), ('1', True)])
def test_numbers_have_a_least_value(text, accepted):
    try:
        assert base.at_least(1)(text) == 1 and accepted
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


def test_instances_in_json_have_the_agreed_keys(manage, deployment):
    deployment.primary = [fake.instance(power_state=states.SHUTDOWN)]
    code, printed = manage('instance', 'list', '-f', 'json')
    assert (code, json.loads(printed)) == (0, [{
        'uuid': fake.UUID.format(1), 'name': 'web', 'host': 'here',
        'vm_state': 'active', 'task_state': None,
        'power_state': 'SHUTDOWN'}])


@pytest.mark.parametrize('options, name', [
    ([], 'old'), (['--strict'], 'new')])
def test_a_list_may_come_from_a_replica_unless_it_must_not(
        manage, deployment, options, name):
    deployment.primary = [fake.instance(name='new')]
    deployment.replica = [fake.instance(name='old')]
    assert manage('instance', 'list', '-f', 'value', '-c', 'name',
                  *options) == (0, f'{name}\n')


def test_an_answer_beyond_its_bound_says_so_beside_the_list(
        manage, deployment, capsys):
    deployment.primary = [fake.instance()]
    deployment.origin = context.Origin(
        'replica', 'db2:3306/prod', context.AVAILABILITY, 34.2)
    code, printed = manage('instance', 'list', '-f', 'value', '-c', 'name',
                           '--availability')
    assert (code, printed) == (0, 'web\n')
    assert capsys.readouterr().err == (
        'This may be out of date: it comes from db2:3306/prod, 34 s '
        'old at most.\n')


def test_what_is_missing_there_may_be_out_of_date_too(
        manage, deployment, capsys):
    deployment.origin = context.Origin(
        'replica', 'db2:3306/prod', context.AVAILABILITY, 34.2)
    code, _ = manage('host', 'show', 'h9', '--availability')
    assert code == 1
    assert 'may be out of date' in capsys.readouterr().err


def test_of_a_list_read_in_parts_the_oldest_part_counts(
        manage, deployment, capsys):
    deployment.primary = [fake.instance(number) for number in range(3)]
    origins = iter([
        context.Origin('replica', 'db2', context.AVAILABILITY, 34.2),
        context.Origin('primary', 'db1', 'budget', 0.1)])
    type(deployment).origin = property(lambda self: next(origins))
    try:
        code, _ = manage('instance', 'list', '--availability')
    finally:
        del type(deployment).origin
    assert code == 0
    assert 'db2, 34 s old at most' in capsys.readouterr().err


def test_strict_and_any_age_exclude_one_another(manage, capsys):
    with pytest.raises(SystemExit, match='2'):
        manage('host', 'list', '--strict', '--availability')
    assert 'not allowed with' in capsys.readouterr().err


NODES = [
    {'node': 'db1', 'role': 'primary', 'usable': True, 'reason': None,
     'age': 0.0, 'share': 1.0, 'reads': None, 'ejections': None,
     'identity': 'x/1', 'incarnation': 'i1', 'fallback': {
         'reads_per_second': 25.0, 'concurrency': 4, 'running': 1,
         'conductors': 2}, 'queries': {'get': {'strict': 3}}},
    {'node': 'db2', 'role': 'replica', 'usable': False, 'reason': 'lagging',
     'age': 12.0, 'share': 0.0, 'reads': 5, 'ejections': 1,
     'identity': 'x/2', 'incarnation': 'i1', 'schema': 'a5',
     'heartbeat_seen': 7, 'heartbeat_sent': 19, 'latency': 0.0012,
     'good_samples': 0,
     'queries': {'get': {'lag_tolerant': 4, 'availability': 1}}}]


def test_a_node_is_shown_with_all_that_is_known_of_it(manage, deployment):
    deployment.nodes = NODES
    code, printed = manage('replica', 'show', 'db2', '-f', 'json')
    shown = json.loads(printed)
    assert code == 0
    assert shown['reason'] == 'lagging'
    assert shown['age_measured_by'] == (
        'heartbeat 7 of this conductor was seen there; 19 were sent')
    assert shown['reads of get'] == {'lag_tolerant': 4, 'availability': 1}
    code, printed = manage('replica', 'show', 'db1')
    assert ('25 reads/s and 4 at once, 1 now; 2 conductors share them'
            in printed)


@pytest.mark.parametrize('options, begin', [
    (['-f', 'value'], ''), (['-f', 'shell'], 'fallback=')])
def test_what_has_parts_is_json_where_only_lines_can_be(
        manage, deployment, options, begin):
    deployment.nodes = NODES
    code, printed = manage('replica', 'show', 'db1', '-c', 'fallback',
                           *options)
    assert (code, printed[:len(begin)]) == (0, begin)
    text = printed[len(begin):].strip()
    if begin:   # as a shell would
        [text] = shlex.split(text)
    assert json.loads(text) == NODES[0]['fallback']


def test_a_list_in_a_cell_is_json_too(manage, deployment):
    deployment.all_hosts = [fake.host(digest=json.dumps(
        {'tasks': 2, 'failing': ['_a', '_b'], 'overdue': []}))]
    assert manage('host', 'list', '-f', 'value', '-c', 'failing') == (
        0, '["_a", "_b"]\n')
    code, printed = manage('host', 'list', '-f', 'csv', '-c', 'failing')
    _, row = csv.reader(io.StringIO(printed), doublequote=True)
    assert json.loads(row[0]) == ['_a', '_b']


def test_a_node_that_is_none_is_said(manage, deployment, caplog):
    deployment.nodes = NODES
    assert manage('replica', 'show', 'db9')[0] == 1
    assert 'There is no database node db9. `computed-manage replica list`' in (
        caplog.text)


@pytest.mark.parametrize('options, names, more', [
    ([], 'abcde', None), (['--limit', '1'], 'a', '1'),
    (['--limit', '3'], 'abc', '3'), (['--limit', '9'], 'abcde', None),
    (['--limit', '2', '--marker', '3'], 'de', None)])
def test_a_long_list_is_shown_page_by_page(
        manage, deployment, capsys, options, names, more):
    deployment.primary = [fake.instance(number, name)
                          for number, name in enumerate('abcde')]
    deployment.all_hosts = [fake.host(name) for name in 'abcde']
    for kind, column in (('instance', 'name'), ('host', 'host')):
        code, printed = manage(kind, 'list', '-f', 'value', '-c', column,
                               *options)
        assert (code, printed.split()) == (0, list(names))
        said = (f'There are more. Continue with --marker {more}\n' if more
                else '')
        assert capsys.readouterr().err == said


def test_a_state_that_there_is_not_is_refused(manage, capsys):
    with pytest.raises(SystemExit, match='2'):
        manage('instance', 'list', '--vm-state', 'activ')
    said = capsys.readouterr().err
    assert "invalid choice: 'activ' (choose from" in said
    assert 'active' in said


def test_filters_of_a_list_are_the_databases_business(manage, deployment):
    manage('instance', 'list', '--host', 'h', '--vm-state', 'error',
           '--name', 'n')
    assert deployment.filters == {
        'host': 'h', 'vm_state': 'error', 'name': 'n', 'deleted': False}


def test_of_all_hosts_the_emptiest_gets_a_new_instance(manage, deployment):
    deployment.all_hosts = [fake.host(name, instances=9 - number)
                            for number, name in enumerate('abcde')]
    manage('instance', 'create', 'web', '--command', 'x')
    assert deployment.primary[0].host == 'e'


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


def test_create_is_repeated_once_if_its_reply_is_lost(manage, deployment):
    deployment.lost_replies = 1
    code, printed = manage('instance', 'create', 'web', '--command', 'x',
                           '-f', 'json')
    [made] = deployment.primary
    assert (code, json.loads(printed)['uuid']) == (0, made.uuid)
    assert deployment.operated == [('build', made.uuid, False)]


def test_create_says_how_to_repeat_it_if_nobody_answers(
        manage, deployment, caplog):
    deployment.lost_replies = 2
    argv = ['instance', 'create', 'web', '--command', 'x']
    assert manage(*argv)[0] == 1
    [made] = deployment.primary
    assert f'--uuid {made.uuid}' in caplog.text
    assert manage(*argv, '--uuid', made.uuid)[0] == 0
    assert deployment.primary == [made]
    assert deployment.operated == [('build', made.uuid, False)]
    # And once more, when it has been built.
    made.vm_state = 'active'
    assert manage(*argv, '--uuid', made.uuid)[0] == 0
    assert len(deployment.operated) == 1


def test_trouble_with_one_instance_does_not_spare_the_others(
        manage, deployment, caplog):
    deployment.primary = [fake.instance(1, 'a'), fake.instance(2, 'b')]
    deployment.refusals[fake.UUID.format(1)] = exception.InstanceBusy(
        instance=fake.UUID.format(1), task_state='pausing')
    code, printed = manage('instance', 'stop', 'nope', 'a', 'b')
    assert (code, printed) == (1, 'b: stop started\n')
    assert deployment.operated == [('stop', fake.UUID.format(2), False)]
    assert 'There is no instance nope' in caplog.text
    assert 'is busy' in caplog.text


def test_who_stops_waiting_hears_that_the_host_goes_on(
        manage, deployment, capsys):
    deployment.primary = [fake.instance()]

    def interrupt(*args, **kwargs):
        deployment.Instance_get_by_uuid = stop
        deployment.operated.append('stop')

    def stop(*args):
        raise KeyboardInterrupt
    deployment.operate = interrupt
    with pytest.raises(KeyboardInterrupt):
        manage('instance', 'stop', 'web', '--wait')
    assert deployment.operated == ['stop']
    assert 'the host goes on' in capsys.readouterr().err


def test_who_waits_for_a_new_instance_sees_its_guest(manage, deployment):
    def build(context, host, operation, uuid, hard=False):
        deployment.primary[-1].vm_state = states.ACTIVE
    deployment.operate = build
    deployment.guest = {'pid': 4711}
    _, printed = manage('instance', 'create', 'web', '--command', 'x',
                        '--wait', '-f', 'json')
    assert json.loads(printed)['pid'] == 4711


def test_a_reboot_can_be_hard(manage, deployment):
    deployment.primary = [fake.instance()]
    assert manage('instance', 'reboot', '--hard', 'web')[0] == 0
    assert deployment.operated == [('reboot', fake.UUID.format(1), True)]


def test_without_a_host_that_is_up_nothing_is_created(
        manage, deployment, caplog):
    deployment.all_hosts = [fake.host(silent_for=99),
                            fake.host('b', silent_for=None)]
    assert manage('instance', 'create', 'web', '--command', 'x')[0] == 1
    assert 'No host is up' in caplog.text
    assert not deployment.primary


def test_usage_is_in_plain_numbers_for_programs(manage, deployment):
    deployment.primary = [fake.instance(1), fake.instance(2, 'db')]
    deployment.usage = [fake.usage(2), fake.usage(1), fake.usage(1)]
    code, printed = manage('instance', 'usage', 'web', '-f', 'json',
                           '--limit', '1')
    assert (code, json.loads(printed)) == (0, [{
        'start_period': '2026-01-01T00:00:00Z', 'mac_address': '02:00',
        'bw_in': 5242880, 'bw_out': 7,
        'last_refreshed': '1970-01-01T00:16:40Z'}])


def test_usage_of_a_deleted_instance_is_shown_by_its_uuid(
        manage, deployment):
    deployment.primary = [fake.instance(1, deleted=True)]
    deployment.usage = [fake.usage(1)]
    assert manage('instance', 'usage', fake.UUID.format(1), '-f', 'value',
                  '-c', 'bw_out') == (0, '7\n')


EVIL = 'web\n\x1b]0;title\x07'
ESCAPED = r'web\n\x1b]0;title\x07'


@pytest.mark.parametrize('formatter', ['table', 'csv', 'value'])
def test_a_name_drives_no_terminal_and_forges_no_row(
        manage, deployment, formatter):
    deployment.primary = [fake.instance(1, EVIL, host=EVIL)]
    code, printed = manage('instance', 'list', '-f', formatter,
                           '-c', 'name', '-c', 'host')
    assert code == 0
    rows = [line for line in printed.splitlines() if 'web' in line]
    if formatter == 'csv':      # it escapes the escapes
        rows = [line.replace('\\\\', '\\') for line in rows]
    assert [line.count(ESCAPED) for line in rows] == [2]
    assert all(line.isprintable() for line in printed.splitlines())


@pytest.mark.parametrize('formatter', ['table', 'shell', 'value'])
def test_what_is_shown_of_one_drives_no_terminal(
        manage, deployment, formatter):
    deployment.primary = [fake.instance(
        1, command=EVIL, fault=EVIL, deleted=True)]
    code, printed = manage('instance', 'show', fake.UUID.format(1),
                           '-f', formatter)
    assert code == 0
    assert printed.count(ESCAPED) == 2
    assert all(line.isprintable() for line in printed.splitlines())


def test_json_has_the_name_itself(manage, deployment):
    deployment.primary = [fake.instance(1, EVIL)]
    _, printed = manage('instance', 'list', '-f', 'json', '-c', 'name')
    assert json.loads(printed) == [{'name': EVIL}]


class Ascii(io.TextIOWrapper):
    def __init__(self):
        super().__init__(io.BytesIO(), 'ascii')

    def getvalue(self):
        self.flush()
        return self.buffer.getvalue().decode()


def test_a_terminal_gets_only_characters_that_it_has(manage, deployment):
    deployment.primary = [fake.instance(1, 'caf\xe9 \u4e2d')]
    code, printed = manage('instance', 'list', '-f', 'value', '-c', 'name',
                           out=Ascii)
    assert (code, printed) == (0, 'caf\\xe9 \\u4e2d\n')


@pytest.mark.parametrize('formatter, cell', [('value', ''), ('csv', '""'),
                                             ('json', None)])
def test_nothing_is_an_empty_text_for_programs(
        manage, deployment, formatter, cell):
    deployment.primary = [fake.instance(1)]
    code, printed = manage('instance', 'list', '-f', formatter,
                           '-c', 'task_state')
    assert code == 0
    if formatter == 'json':
        assert json.loads(printed) == [{'task_state': None}]
    else:
        assert printed.splitlines()[-1] == cell


def test_an_error_drives_no_terminal(manage, deployment, capsys):
    record = logging.LogRecord('x', logging.ERROR, '', 0, 'No %s.', (
        'name\x1b[2J\nforged',), None)
    assert app.FirstLine('%(message)s').format(record) == r'No name\x1b[2J'


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize('out, words, shown', [
    (Terminal, (), 'a\n\\x1b[2Jb\n'),
    (Terminal, ('--raw',), 'a\r\n\x1b[2Jb\n'),
    (io.StringIO, (), 'a\r\n\x1b[2Jb\n')])
def test_the_console_drives_a_terminal_only_if_asked(
        manage, deployment, out, words, shown):
    deployment.primary = [fake.instance(1)]
    deployment.console = 'a\r\n\x1b[2Jb\n'
    assert manage('instance', 'log', 'web', *words, out=out) == (0, shown)


@pytest.mark.parametrize('argv, number', [
    (['instance', 'show', 'caf\udce9'], 3), (['\udcff'], 1)])
def test_an_argument_that_is_not_text_is_refused_in_one_line(
        capsys, argv, number):
    assert app.main(argv) == 2
    said = capsys.readouterr().err
    assert said.startswith(f'computed-manage: Argument {number}, ')
    assert 'is not UTF-8' in said and said.isascii()
    assert said.count('\n') == 1


def test_a_daemon_refuses_such_an_argument_too(capsys):
    with pytest.raises(SystemExit, match='1'):
        setup.load(['--state-path', '/caf\udce9'], 'computed')
    said = capsys.readouterr().err
    assert r'Argument 2, /caf\udce9, is not UTF-8' in said
    assert said.count('\n') == 1
