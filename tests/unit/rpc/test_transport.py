"""The one object that services are given to call and be called."""

import oslo_messaging as messaging
import pytest
from oslo_config import cfg

from computed import context
from computed import exception
from computed.rpc import endpoint
from computed.rpc import options
from computed.rpc import transport
from tests.support import fixtures

TARGET = messaging.Target(topic='t', version='1.0')


@pytest.mark.parametrize('url', [
    'rabbit://u:PASS@h1:PORT/', 'rabbit://u:PASS/PASS@h1/',
    'rabbit://u:PASS#PASS@h1/', 'carrier://u:PASS@h1/', 'rabbit://u:[PASS@h'])
def test_an_unusable_url_is_one_line_without_the_password(url):
    conf = cfg.ConfigOpts()
    options.register_opts(conf)
    conf([], default_config_files=[])
    conf.set_override('transport_url', url)
    with pytest.raises(exception.ConfigError, match='transport_url') as got:
        transport.make(conf)
    assert 'PASS' not in str(got.value)
    assert '\n' not in str(got.value)


class Endpoint:
    target = TARGET

    @endpoint.exposed
    def double(self, context, value):
        return 2 * value

    @endpoint.exposed
    def refuse(self, context):
        """Raise one of our errors."""
        raise exception.HostNotFound(host='h1')

    def hidden(self, context):
        return 'secret'


def test_what_is_exposed_keeps_its_name():
    assert Endpoint.refuse.__name__ == 'refuse'
    assert Endpoint.refuse.__doc__ == 'Raise one of our errors.'


def test_a_client_calls_what_a_server_exposes(tmp_path):
    made = transport.make(fixtures.make_conf(tmp_path))
    assert made.address == f'unix://{tmp_path}/rpc'
    target = messaging.Target(topic='t', server=made.server_name('h1'))
    made.reach(target)
    server = made.server(target, [Endpoint()])
    made.start(server)
    client = made.client(TARGET, timeout=10)
    ctxt = context.new()
    try:
        with made.servers('t').reached():
            assert client.call(ctxt, 'double', value=3) == 6
        with pytest.raises(exception.HostNotFound):
            client.call(ctxt, 'refuse')
        with pytest.raises(exception.BadRequest, match='hidden'):
            client.call(ctxt, 'hidden')
    finally:
        made.close()
        server.stop()
        server.wait()


def test_one_host_may_have_several_servers_of_a_topic(tmp_path):
    made = transport.make(fixtures.make_conf(tmp_path))
    assert made.server_name('h1').startswith('h1-')


def test_a_socket_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / 'rpc').write_text('')
    made = transport.make(fixtures.make_conf(tmp_path))
    server = made.server(
        messaging.Target(topic='t', server='h1'), [Endpoint()])
    with pytest.raises(exception.ConfigError, match='transport_url'):
        made.start(server)
