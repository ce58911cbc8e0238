"""The URL of RPC, and what of it may be shown."""

import logging
import re

import pytest
from oslo_config import cfg

from computed import exception
from computed.db.engine import urls
from computed.rpc import options
from computed.rpc import transport
from tests.support import fixtures


def test_without_a_url_a_host_stands_alone(tmp_path):
    conf = cfg.ConfigOpts()
    options.register_opts(conf)
    conf.register_opt(cfg.StrOpt('state_path', default=str(tmp_path)))
    conf([], default_config_files=[])
    assert options.is_standalone(conf)
    assert options.url(conf) == f'unix://{tmp_path}/rpc'
    conf = fixtures.make_conf(tmp_path, transport_url='rabbit://u:PASS@h1/')
    assert not options.is_standalone(conf)
    assert options.url(conf) == 'rabbit://u:PASS@h1/'
    assert options.address(conf) == 'rabbit://***@h1/'


def test_two_configurations_share_no_value(tmp_path):
    """The library's options are copied only once."""
    path = tmp_path / 'computed.conf'
    path.write_text('[DEFAULT]\ntransport_url = rabbit://h1/\n')
    one, other = cfg.ConfigOpts(), cfg.ConfigOpts()
    for conf, files in ((one, [str(path)]), (other, [])):
        options.register_opts(conf)
        conf([], default_config_files=files)
    one.set_override('rpc_response_timeout', 7)
    one.set_override('heartbeat_rate', 5, 'oslo_messaging_rabbit')
    assert (one.transport_url, other.transport_url) == (
        'rabbit://h1/', 'rabbit://')
    assert (one.rpc_response_timeout, other.rpc_response_timeout) == (7, 60)
    assert other.oslo_messaging_rabbit.heartbeat_rate != 5
    assert not options.is_standalone(one)
    assert options.is_standalone(other)


@pytest.mark.parametrize('url, shown', [
    ('unix:///run/computed/rpc', 'unix:///run/computed/rpc'),
    ('rabbit://h1:5672/', 'rabbit://h1:5672/'),
    ('rabbit://u:PASS@h1/v', 'rabbit://***@h1/v'),
    ('rabbit://u:PASS@h1:1,u:PASS@h2:2/v', 'rabbit://***@h1:1,***@h2:2/v'),
    ('rabbit://u:PASS@[::1]:1,u:PASS@h2/', 'rabbit://***@[::1]:1,***@h2/'),
    # not quoted as it should be
    ('rabbit://u:PASS@PASS@h1/', 'rabbit://***@h1/'),
    ('rabbit://u:PASS,PASS@h1/', 'rabbit://***,***@h1/'),
    ('rabbit://u:PASS/PASS@h1/', 'rabbit://***@h1/'),
    ('rabbit://u:PASS?PASS@h1/', 'rabbit://***'),
    ('rabbit://h1/v?ssl=1&ssl_key_file=PASS',
     'rabbit://h1/v?ssl&ssl_key_file'),
    ('rabbit://u:PASS@h1/?ssl_key_file=PASS',
     'rabbit://***@h1/?ssl_key_file'),
    ('rabbit://u:PASS@h1/?no_option=PASS', 'rabbit://***@h1/?***'),
    ('rabbit://u:PASS@h1/?ssl_key_password=PA@PASS', 'rabbit://***'),
    # digits that may be a password whose @ is missing
    ('rabbit://u:777', 'rabbit://u:***'),
    ('rabbit://u:777/v', 'rabbit://u:***/v'),
    ('rabbit://u:777,u:777@h2:77/', 'rabbit://***,***@h2:77/'),
    ('rabbit://u:PASS@h1:77,u:777/', 'rabbit://***@h1:77,***@u:***/'),
    ('rabbit://h1:5671,u:777/', 'rabbit://h1:5671,u:***/'),
    # what is no option
    ('unix:///x?PASS', 'unix:///x?***'),
    ('unix:///x?PASS=1&ssl=PASS', 'unix:///x?***&***'),
    ('unix:///x#PASS', 'unix:///x#***'),
    ('rabbit://u:PASS@h1/v?PASS&ssl', 'rabbit://***@h1/v?***&ssl'),
    ('rabbit://u:PASS@h1/v#PASS', 'rabbit://***@h1/v#***'),
    ('rabbit://u:7#PASS@h1/', 'rabbit://***'),
    # no URL
    ('rabbit:/u:PASS@h', 'rabbit://***'),
    ('rabbit:///u:PASS@h', 'rabbit://***@h'),
    ('rabbit://u:PASS', 'rabbit://***'),
    ('rabbit://u:PASS,h1:1/', 'rabbit://***'),
    ('u:PASS@h1', '***'),
    ('PASS', '***'),
])
def test_no_password_is_shown(url, shown):
    assert options.shown(url) == shown
    assert not {'PASS', '777'} & set(re.split(r'\W', options.shown(url)))


@pytest.mark.parametrize('url, problem', [
    ('rabbit:/u:PASS@h', 'does not begin with a scheme and ://'),
    ('rabbit:///u:PASS@h', 'an @ stands after the first /'),
    ('rabbit://u/x:PASS@h', 'an @ stands after the first /'),
    ('rabbit://h/?ssl_key_password=PA@PASS', 'an @ stands after the first /'),
    ('rabbit://u:PASS', 'is not a number'),
    ('rabbit://u:PASS@h:70000/', 'larger than 65535'),
    ('rabbit://u:7777/', 'without an @ a password may look like a port'),
    ('rabbit://u:7777,u:PASS@h/', 'a password may look like a port'),
    ('rabbit://u:7#PASS@h/', 'it has a #'),
    ('unix:///x#PASS', 'it has a #'),
    ('unix:///x?PASS', 'without options'),
    ('unix://u:PASS@h/x', 'without a host')])
def test_what_is_no_url_is_refused_without_a_password(
        tmp_path, caplog, url, problem):
    conf = fixtures.make_conf(tmp_path, transport_url=url)
    with pytest.raises(exception.ConfigError, match=problem) as refused:
        transport.make(conf)
    said = str(refused.value) + caplog.text
    assert 'PASS' not in said and '7777' not in said


def test_no_secret_is_among_the_values_that_a_program_may_log(
        tmp_path, caplog):
    conf = fixtures.make_conf(
        tmp_path, transport_url='rabbit://u:PASS@h/')
    urls.register_opts(conf)
    for name in ('connection', 'slave_connection', 'connection_parameters'):
        conf.set_override(name, 'mysql://u:PASS@h/x', 'database')
    conf.set_override('replica_connections', ['mysql://u:PASS'], 'database')
    conf.set_override('ssl_client_key_password', 'PASS',
                      'oslo_messaging_kafka')
    conf.log_opt_values(logging.getLogger('test'), logging.ERROR)
    assert 'connection_parameters' in caplog.text
    assert 'PASS' not in caplog.text
