"""What is misspelt in a file is refused, and nothing else is."""

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
    def check(text, folder=False, later=late_options.all_of):
        (tmp_path / 'conf.d').mkdir(exist_ok=True)
        path = tmp_path / ('conf.d/x.conf' if folder else 'computed.conf')
        path.write_text(text)
        conf = cfg.ConfigOpts()
        computed_conf.register_opts(conf)
        options.register_opts(conf)
        conf(['--config-dir', str(path.parent)] if folder else
             ['--config-file', str(path)])
        spelling.check(conf, later)
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
