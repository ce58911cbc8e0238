"""What is misspelt in a file is refused, and nothing else is."""

from importlib import metadata

import pytest
from oslo_config import cfg

from computed import conf as computed_conf
from computed import exception
from computed.conf import spelling
from computed.rpc import options
from computed.service import late_options


@pytest.fixture
def check(tmp_path):
    """A function that checks a file, or one in a folder, with this text."""
    def check(text, folder=False, later=late_options.all_of, foreign=None):
        (tmp_path / 'conf.d').mkdir(exist_ok=True)
        path = tmp_path / ('conf.d/x.conf' if folder else 'computed.conf')
        path.write_text(text)
        conf = cfg.ConfigOpts()
        computed_conf.register_opts(conf)
        options.register_opts(conf)
        conf(['--config-dir', str(path.parent)] if folder else
             ['--config-file', str(path)])
        spelling.check(conf, later, foreign)
    return check


@pytest.mark.parametrize('folder', [False, True])
@pytest.mark.parametrize('text, said', [
    ('[databse]\nconnection = x', r'\[databse\] is no section .*\[database\]'),
    ('[default]\nhost = x', r'\[default\] is no section .*Write \[DEFAULT\]'),
    ('[zzz]', r'\[zzz\] is no section that computed reads. Remove it.'),
    ('[DEFAULT]\nhots = x', r'\[DEFAULT\] hots is no option .*Write host'),
    ('[DEFAULT]\nconnection = x', r'It belongs to \[database\]'),
    ('[database]\nconection = x', 'Write connection'),
    ('[oslo_messaging_rabbit]\nrabbit_quorum_queu = true',
     'Write rabbit_quorum_queue')])
def test_what_is_misspelt_is_refused(check, text, said, folder):
    with pytest.raises(exception.ConfigError, match=said):
        check(text, folder)


@pytest.mark.parametrize('text, what', [
    ('[acme_tasks]\ninterval = 3\nspeed = 3\n', 'section [acme_tasks]'),
    ('[tasks]\nacme_speed = 3\n', 'option [tasks] acme_speed')])
def test_what_only_hosts_may_know_is_let_through_with_one_line(
        check, text, what):
    said = []
    check(text, foreign=said.append)
    [line] = said
    assert f'/computed.conf: this machine knows no {what}. It may' in line


def test_a_variable_that_only_hosts_may_know_is_let_through(
        check, monkeypatch):
    monkeypatch.setenv('OS_ACME__SPEED', '3')
    said = []
    check('', foreign=said.append)
    assert 'the environment: this machine knows no option OS_ACME__SP' in (
        ' '.join(said))


def test_a_name_that_is_only_like_a_known_one_is_let_through(
        check, monkeypatch):
    """The tasks of a package have names like ours."""
    monkeypatch.setenv('OS_GPU__HOST', 'x')
    said = []
    check('[tasks]\nsync_gpu_state_interval = 1\n', foreign=said.append)
    assert len(said) == 2


@pytest.mark.parametrize('text', [
    '[databse]\nconnection = x', '[default]\nhost = x',
    '[DEFAULT]\nhots = x', '[DEFAULT]\nconnection = x',
    '[database]\nconection = x', '[zzz]\nx = 1\n[databse]\nx = 1\n'])
def test_what_is_like_a_known_name_is_refused_everywhere(check, text):
    with pytest.raises(exception.UnknownOption, match='Write|belongs to'):
        check(text, foreign=str)


@pytest.mark.parametrize('text', [
    '[database]\nconnection = x\nmax_retries = 1\nmax-replica-lag = 3\n',
    '[DATABASE]\nconnection = x\n',
    '[DEFAULT]\ndebug = true\nlog-file = x\ntransport_url = rabbit://h\n',
    '[oslo_concurrency]\nlock_path = /x\n',
    '[DEFAULT]\nrpc_response_timeout = 3\n[oslo_messaging_rabbit]\n'
    'ssl = true\n[oslo_reports]\nlog_dir = /x\n'])
def test_options_of_libraries_are_known(check, text):
    check(text)


def test_libraries_are_asked_only_if_they_must_be(check):
    check('[tasks]\nsync_power_state_interval = 3\n', later=lambda: 1 / 0)


@pytest.mark.parametrize('variable, said', [
    ('OS_DATABSE__CONNECTION', 'Write OS_DATABASE__CONNECTION.'),
    ('OS_DATABASE__CONECTION', 'Write OS_DATABASE__CONNECTION.'),
    ('OS_DATABSE__CONECTION', 'Write OS_DATABASE__CONNECTION.'),
    ('OS_DEFAULT__HOTS', 'Write OS_DEFAULT__HOST.'),
    ('OS_DEFAULT__SYNC_POWER_STATE_INTERVAL',
     'Write OS_TASKS__SYNC_POWER_STATE_INTERVAL.'),
    ('OS_ZZZ__YYY', 'Remove it.')])
def test_what_is_misspelt_in_the_environment_is_refused(
        check, monkeypatch, variable, said):
    monkeypatch.setenv(variable, 'x')
    with pytest.raises(exception.ConfigError) as found:
        check('')
    assert str(found.value) == (f'the environment: {variable} is no option '
                                f'that computed reads. {said}')


@pytest.mark.parametrize('variable', [
    'OS_DEFAULT__HOST', 'OS_TASKS__SYNC_POWER_STATE_INTERVAL',
    'OS_OSLO_MESSAGING_RABBIT__SSL', 'OS_OSLO_CONCURRENCY__LOCK_PATH',
    'OS_AUTH_URL', 'OS_USERNAME', 'os_databse__connection'])
def test_other_variables_are_left_alone(check, monkeypatch, variable):
    monkeypatch.setenv(variable, '1')
    check('')


def test_options_that_cannot_be_listed_are_one_clear_error(
        check, monkeypatch):
    """Nobody knows whether they are right."""
    entry = metadata.EntryPoint('oslo.log', 'no_such_module:list_opts',
                                late_options.ENTRY_POINTS)
    entry = entry._for(metadata.distribution('oslo.log'))
    monkeypatch.setattr(late_options.metadata, 'entry_points',
                        lambda group: [entry])
    with pytest.raises(exception.PluginError, match='no_such_module') as got:
        check('[DEFAULT]\nlog_fiel = x\n')
    assert '\n' not in str(got.value)
