"""The URL of RPC, and what of it may be shown."""

import pytest
from oslo_config import cfg

from computed.rpc import options
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
    ('rabbit://u:PASS?PASS@h1/', 'rabbit://***@h1/'),
])
def test_no_password_is_shown(url, shown):
    assert options.shown(url) == shown
    assert 'PASS' not in options.shown(url)
