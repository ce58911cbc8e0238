"""Messages of a broker that oslo.messaging has not made."""

import inspect
import types

import pytest
from oslo_messaging._drivers import amqp
from oslo_messaging._drivers import impl_rabbit

from computed.logs import seldom
from computed.rpc import envelopes


class Message:
    """A message of kombu."""

    def __init__(self, payload):
        self._payload = payload
        self.acknowledged = self.rejected = False

    @property
    def payload(self):
        if isinstance(self._payload, Exception):
            raise self._payload
        return self._payload

    def ack(self):
        self.acknowledged = True

    def reject(self):
        assert not self.acknowledged
        self.rejected = True


@pytest.fixture
def received():
    return []


@pytest.fixture
def reader(received):
    def callback(message):
        message.acknowledge()
        received.append(message['method'])
    return envelopes.Reader(types.SimpleNamespace(
        rabbit_stream_fanout=False, queue_name='conductor',
        queue=types.SimpleNamespace(channel=None), callback=callback),
        seldom.Seldom(envelopes.LOG))


@pytest.mark.parametrize('payload, acknowledged', [
    (ValueError('no JSON\n'), False), ('text', False), ([1], False),
    ({'oslo.version': '9.0', 'oslo.message': '{}'}, False),
    ({'oslo.version': '2.0', 'oslo.message': '{'}, False),
    ({'oslo.version': '2.0', 'oslo.message': '[1]'}, False),
    ({'oslo.version': '2.0', 'oslo.message': '{}'}, True)], ids=repr)
def test_what_cannot_be_read_is_dropped_with_one_line(
        reader, received, caplog, payload, acknowledged):
    for _ in range(3):
        broken = Message(payload)
        reader(broken)
        assert (broken.acknowledged, broken.rejected) == (
            acknowledged, not acknowledged)
    sound = Message({'method': 'm'})
    reader(sound)
    assert received == ['m'] and sound.acknowledged
    said, = caplog.records
    assert said.exc_info is None and said.getMessage().isprintable()
    assert 'in queue conductor' in said.getMessage()


def test_a_message_that_came_before_is_no_fault_with_a_traceback(caplog):
    seen = envelopes.SeenIds()
    first = seen.check_duplicate_message({amqp.UNIQUE_ID: 'a'})
    seen.add(first)
    assert first == 'a'
    with pytest.raises(envelopes.Repeated):
        seen.check_duplicate_message({amqp.UNIQUE_ID: 'a'})
    assert seen.check_duplicate_message({}) is None


def test_the_library_still_has_what_envelopes_need():
    """A new release of the library must keep the private names in use."""
    source = inspect.getsource(impl_rabbit.Consumer)
    for name in ('self._callback', 'self.callback(RabbitMessage(message))',
                 'self.rabbit_stream_fanout', 'self.queue_name',
                 'self.queue.channel', "'message_to_python'"):
        assert name in source
    assert impl_rabbit.Connection.declare_consumer
    assert amqp._MsgIdCache.check_duplicate_message
