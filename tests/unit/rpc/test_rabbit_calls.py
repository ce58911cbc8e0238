"""How a caller waits for a reply of RabbitMQ."""

import inspect
import threading

import oslo_messaging
import pytest
from oslo_messaging._drivers import amqpdriver

from computed.rpc import rabbit
from computed.rpc import rabbit_calls


class Servers(rabbit_calls.Servers):
    """Servers of a driver that needs no broker."""

    def __init__(self, *counts):
        self.ending = threading.Event()
        self.counts = list(counts)
        super().__init__(object(), 'queue', self.ending)

    def _count(self, driver):
        count = self.counts.pop(0)
        if isinstance(count, Exception):
            raise count
        return count


class Replies:
    """Replies that come after so many waits."""

    def __init__(self, *replies):
        self.replies = list(replies)

    def get(self, call, timeout):
        reply = self.replies.pop(0) if self.replies else None
        if reply is None:
            raise oslo_messaging.MessagingTimeout
        return reply


def call(servers, replies, timeout=60):
    with servers.reached():
        return rabbit_calls.looking_up(replies.get)('id', timeout)


AWAY = rabbit.Unreachable('rabbit://h1/', 'Connection refused')


def test_a_caller_asks_nothing_before_the_end():
    servers = Servers(1)
    assert call(servers, Replies(None, None, None, None, {'a': 1})) == {
        'a': 1}
    assert servers.counts == []


def test_a_caller_waits_for_no_server_that_is_gone_when_the_program_ends():
    servers = Servers(1, 0, AWAY, 0)
    servers.ending.set()
    with pytest.raises(rabbit.Unconfirmed):
        call(servers, Replies())
    assert servers.counts == []


def test_a_server_that_was_there_again_may_answer():
    servers = Servers(1, 0, 0, 1, 0, 0)
    servers.ending.set()
    assert call(servers, Replies(*[None] * 5, {'a': 1})) == {'a': 1}


def test_a_program_that_ends_presumes_nothing():
    servers = Servers(1, 0)
    assert call(servers, Replies({'a': 1})) == {'a': 1}
    servers.ending.set()
    with pytest.raises(rabbit.NobodyListens):
        call(servers, Replies())


def test_the_time_of_a_call_is_over_as_before():
    with pytest.raises(oslo_messaging.MessagingTimeout):
        call(Servers(1), Replies(), timeout=rabbit_calls.SLICE)


def test_the_library_still_has_what_calls_need():
    """A new release of the library must keep the private names in use."""
    waiters = amqpdriver.ReplyWaiters()
    waiters.add('id')
    assert list(inspect.signature(waiters.get).parameters) == [
        'msg_id', 'timeout']
    waiters.put('id', {'a': 1})
    assert waiters.get('id', timeout=1) == {'a': 1}
    with pytest.raises(oslo_messaging.MessagingTimeout):
        waiters.get('id', timeout=0)
    source = inspect.getsource(amqpdriver.ReplyWaiter.wait)
    assert 'self.waiters.get(msg_id, timeout=timeout)' in source
    assert callable(amqpdriver.AMQPDriverBase._get_reply_q)
