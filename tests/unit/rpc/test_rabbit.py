"""What is decided without a broker, and what the library must have."""

import errno

import amqp
import kombu.exceptions
import pytest
from oslo_config import cfg
from oslo_messaging._drivers import amqpdriver
from oslo_messaging._drivers import impl_rabbit

from computed.rpc import envelopes
from computed.rpc import options
from computed.rpc import rabbit
from computed.rpc import transport


def library_error(cause):
    try:
        raise kombu.exceptions.OperationalError(str(cause)) from cause
    except kombu.exceptions.OperationalError as error:
        return error


@pytest.mark.parametrize('error, problem', [
    (library_error(ConnectionRefusedError(
        errno.ECONNREFUSED, 'Connection refused')), 'Connection refused'),
    (library_error(amqp.AccessRefused('Login was refused\nby h1')),
     'it refuses the user or the password'),
    (library_error(amqp.NotAllowed('vhost x not found')),
     'it refuses the virtual host (vhost x not found)'),
    (TimeoutError(), 'TimeoutError'),
])
def test_what_is_wrong_with_the_broker_is_one_line(error, problem):
    assert rabbit.problem_of(error) == problem


def test_queues_are_replicated_unless_the_operator_says_no(tmp_path):
    def read(text):
        path = tmp_path / 'computed.conf'
        path.write_text(text)
        conf = cfg.ConfigOpts()
        options.register_opts(conf)
        conf(['--config-file', str(path)])
        found = conf.oslo_messaging_rabbit
        return (found.rabbit_quorum_queue,
                found.rabbit_transient_quorum_queue)
    assert read('') == (True, True)
    assert read('[oslo_messaging_rabbit]\nrabbit_quorum_queue = false\n'
                ) == (False, True)


def test_the_library_still_has_what_the_broker_needs():
    """A new release of the library must keep the private names in use."""
    conf = cfg.ConfigOpts()
    options.register_opts(conf)
    conf([], default_config_files=[])
    conf.set_override('transport_url', 'rabbit://u:p@127.0.0.1:1/')
    driver = rabbit.driver_of(transport.make(conf)._library)
    assert isinstance(driver, impl_rabbit.RabbitDriver)
    assert driver._connection_pool.connection_cls is envelopes.Connection
    assert issubclass(envelopes.Connection, impl_rabbit.Connection)
    assert driver._reply_q is driver._reply_q_conn is driver._waiter is None
    assert driver._reply_q_lock and driver._url.hosts
    assert impl_rabbit._get_queue_arguments.__code__.co_varnames[:5] == (
        'rabbit_ha_queues', 'rabbit_queue_ttl', 'rabbit_quorum_queue',
        'rabbit_quorum_queue_config', 'rabbit_stream_fanout')
    assert callable(amqpdriver.ReplyWaiter.stop)
    assert callable(impl_rabbit.Connection.set_transport_socket_timeout)
    assert impl_rabbit.Connection.ensure.__code__.co_varnames[1:3] == (
        'method', 'retry')
