"""computed-manage as a real process, without any daemon."""

import json
import os
import subprocess
import sys

import pytest

from computed.cmd.manage import app
from computed.rpc import options
from tests.support import prefork


@pytest.fixture
def environment(tmp_path):
    """What nobody configured."""
    return {**{name: value for name, value in os.environ.items()
               if not name.startswith(('OS_', 'COMPUTED_'))},
            'COMPUTED_STATE_PATH': str(tmp_path / 'state'),
            'HOME': str(tmp_path)}


@pytest.fixture
def python(environment):
    """Run Python."""
    def run(*argv):
        return subprocess.run(
            [sys.executable, *argv], capture_output=True, text=True,
            timeout=360, env=environment)
    return run


@pytest.fixture
def fresh(python):
    """Run it as its user does: it imports what it needs itself.

    Once for each command that needs other modules.
    """
    def run(*argv):
        return python('-P', '-m', 'computed.cmd.manage', *argv)
    return run


@pytest.fixture
def manage(environment):
    """Run it in a fork of a process that has imported everything.

    That has also read where the state path is.
    """
    def run(*argv):
        return prefork.run(
            'computed.cmd.manage', '--state-path',
            environment['COMPUTED_STATE_PATH'], *argv,
            environment=environment)
    return run


def refused(done, said, status=1):
    """It ended with one line that has ``said`` in it."""
    assert done.returncode == status, done
    assert done.stdout == ''
    assert done.stderr.startswith('computed-manage: ')
    assert said in done.stderr
    assert done.stderr.count('\n') == 1
    return True


def test_to_look_at_the_schema_makes_no_database(manage, tmp_path):
    done = manage('--state-path', str(tmp_path / 'none'), 'db', 'version',
                  '-f', 'value', '-c', 'version')
    assert done.stdout == '\n'
    assert not (tmp_path / 'none').exists()


def test_help_names_every_command(fresh):
    done = fresh('--help')
    assert done.returncode == 0
    assert 'usage: computed-manage' in done.stdout
    for name in app.COMMANDS:
        assert f'  {name} ' in done.stdout
    assert done.stderr == ''


@pytest.mark.parametrize('name', ['instance create', 'task run'])
def test_help_on_a_command_needs_no_configuration(manage, name):
    done = manage('--config-file', '/nowhere', *name.split(), '--help')
    assert done.returncode == 0
    assert f'usage: computed-manage {name}' in done.stdout


def test_the_schema_is_made_and_shown(manage, fresh, tmp_path):
    def version(manage):
        return json.loads(manage('db', 'version', '-f', 'json').stdout)

    before = version(fresh)
    assert before['version'] is None
    done = fresh('db', 'sync')
    assert (done.returncode, done.stderr) == (0, '')
    assert f'is now {before["newest"]}' in done.stdout
    assert (tmp_path / 'state' / 'computed.sqlite').exists()
    assert version(manage)['version'] == before['newest']
    assert 'which is the newest' in manage('db', 'sync').stdout


def test_the_state_path_may_be_an_argument(manage, tmp_path):
    assert manage('db', 'sync', '--state-path',
                  str(tmp_path / 'other')).returncode == 0
    assert (tmp_path / 'other' / 'computed.sqlite').exists()
    assert not (tmp_path / 'state').exists()


def test_the_database_may_be_configured(manage, tmp_path):
    config = tmp_path / 'computed.conf'
    config.write_text(f'[database]\nconnection = sqlite:///{tmp_path}/x.db\n')
    assert manage('db', 'sync', '--config-file', str(config)).returncode == 0
    assert (tmp_path / 'x.db').exists()


@pytest.fixture(scope='session')
def lonely(rabbitmq):
    """A place in the broker where nobody ever listened."""
    rabbitmq.add_vhost('lonely')
    return rabbitmq.url('lonely')


@pytest.fixture(params=['unix', 'rabbit'])
def nobody(request, tmp_path):
    """Arguments that lead to nobody, and the address that is shown."""
    if request.param == 'unix':
        return [], f'unix://{tmp_path}/state/rpc'
    url = request.getfixturevalue('lonely')
    config = tmp_path / 'computed.conf'
    config.write_text(f'[DEFAULT]\ntransport_url = {url}\n')
    return ['--config-file', str(config)], options.shown(url)


def test_without_a_conductor_there_is_one_line(fresh, nobody):
    arguments, address = nobody
    assert refused(fresh('instance', 'list', *arguments),
                   f'No conductor answers at {address}')


def test_without_a_host_there_is_one_line(manage, nobody):
    arguments, _ = nobody
    assert refused(manage('task', 'list', '--host', 'h9', *arguments),
                   'Host h9 does not answer.')


def test_a_traceback_is_for_those_who_ask(manage):
    assert 'Traceback' in manage('--debug', 'instance', 'list').stderr


@pytest.mark.parametrize('text, said', [
    ('[tasks]\nsync_power_state_interval = -1',
     '[tasks] sync_power_state_interval = -1'),
    ('[DEFAULT]\nreport_interval = x', '[DEFAULT] report_interval = x'),
    ('[DEFAULT]\ntransport_url = nonsense://',
     '[DEFAULT] transport_url = nonsense://'),
    ('nonsense', 'computed.conf: line 1: '),
    ('[DEFAULT]\ntransport_url = kafka://broker',
     "transport_url = kafka://broker: No module named 'confluent_kafka'"),
    ('[DEFAULT]\ntransport_url = rabbit://u:p@h:5672/?ssl=perhaps',
     "?ssl: Unexpected boolean value 'perhaps'"),
    ('[DEFAULT]\ntransport_url = rabbit://u:p@h:word/x',
     'the text after the last colon of a host is not a number'),
])
def test_a_bad_configuration_is_one_line(manage, tmp_path, text, said):
    config = tmp_path / 'computed.conf'
    config.write_text(text)
    assert refused(manage('host', 'list', '--config-file', str(config)), said)


def test_an_empty_state_path_is_one_line(fresh, tmp_path):
    config = tmp_path / 'computed.conf'
    config.write_text('[DEFAULT]\nstate_path =')
    assert refused(fresh('host', 'list', '--config-file', str(config)),
                   '[DEFAULT] state_path = : it is empty')


@pytest.mark.parametrize('connection, said', [
    ('nonsense', '[database] connection = ***: not a database URL'),
    ('mysql+pymysql://u:secret@127.0.0.1:1/x', 'Connection refused')])
def test_a_database_that_is_not_there_is_one_line(
        manage, tmp_path, connection, said):
    config = tmp_path / 'computed.conf'
    config.write_text(f'[database]\nconnection = {connection}\n')
    done = manage('db', 'sync', '--config-file', str(config))
    assert refused(done, said)
    assert 'secret' not in done.stderr


def test_a_configuration_that_is_not_there_is_one_line(manage):
    assert refused(manage('host', 'list', '--config-file', '/nowhere'),
                   '/nowhere')


@pytest.mark.parametrize('content, problem', [
    (None, 'Is a directory'), (b'[DEFAULT]\nhost = \xe4',
                               'it is not UTF-8 text')])
def test_what_is_no_configuration_is_one_line(
        manage, tmp_path, content, problem):
    path = tmp_path / 'it'
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    assert refused(manage('host', 'list', '--config-file', str(path)),
                   f'--config-file = {path}: {problem}. ')


def test_a_state_path_that_cannot_be_is_one_line(manage):
    assert refused(manage('db', 'sync', '--state-path', '/proc/x'),
                   '[DEFAULT] state_path = /proc/x')


def test_an_unknown_command_is_one_line(manage):
    assert refused(manage('instance', 'destroy'),
                   'There is no command instance destroy.', status=2)


@pytest.mark.parametrize('argv', [
    [], ['instance', 'create', 'web'], ['instance', 'start'],
    ['instance', 'create', '', '--command', 'x'],
    ['instance', 'log', 'web', '--bytes', '0'],
    ['host', 'list', '--nonesuch']])
def test_what_cannot_be_understood_exits_with_2(manage, argv):
    done = manage(*argv)
    assert done.returncode == 2
    assert 'usage: computed-manage' in done.stderr
    assert 'Traceback' not in done.stderr


def test_only_db_commands_load_sqlalchemy(python):
    done = python('-c', (
        'import sys\n'
        'from computed.cmd import manage\n'
        'manage.main(["instance", "list"])\n'
        'print([name for name in sys.modules if name.split(".")[0]\n'
        '       in ("sqlalchemy", "alembic", "oslo_db")])'))
    assert done.stdout == '[]\n'
    assert 'No conductor answers' in done.stderr
