"""What waits to be sent, and what becomes of it on bad days."""

import threading

import pytest

from computed import metrics
from computed.notifications import notification
from computed.notifications import outbox
from tests.support import fixtures
from tests.support import waiting


class Channel:
    """One whose consumers get ``sent``.

    :ivar problem: is raised by each try
    :ivar free: as long as it is cleared, a try hangs
    """

    def __init__(self):
        self.sent, self.tries, self.problem = [], 0, None
        self.free = threading.Event()
        self.free.set()
        self.closed = False

    def send(self, event_type, payload, failed):
        self.tries += 1
        self.free.wait()
        if self.problem is not None:
            raise self.problem
        self.sent.append(event_type)

    def close(self):
        self.closed = True


@pytest.fixture
def channel():
    return Channel()


@pytest.fixture
def counted():
    """Return the value of a counter of this test alone."""
    registry = metrics.Registry()
    former = metrics.use(registry)
    yield lambda what: registry.collectors.get_sample_value(
        f'computed_notifications_{what}_total')
    metrics.use(former)


@pytest.fixture
def box(channel, counted, monkeypatch):
    monkeypatch.setattr(outbox, 'SHORTEST', 0.01)
    monkeypatch.setattr(outbox, 'LEAVING', 0.1)
    found = outbox.Outbox(channel, 3)
    found.start()
    yield found
    channel.free.set()
    found.stop()


def tell(box, *names):
    for name in names:
        box.tell(lambda what: notification.Notification(
            what, {}), name)


def test_what_is_told_is_sent_in_order(box, channel, counted):
    tell(box, 'a', 'b', 'c')
    waiting.wait_for(lambda: channel.sent == ['a', 'b', 'c'])
    box.stop()
    assert channel.closed
    assert (counted('sent'), counted('dropped')) == (3, 0)


def test_a_broker_that_comes_back_gets_what_waited(
        box, channel, counted, caplog):
    channel.problem = outbox.Unsent('Connection refused')
    tell(box, 'a', 'b', 'c')
    waiting.wait_for(lambda: channel.tries > 3)
    tell(box, 'd', 'e')
    channel.problem = None
    waiting.wait_for(lambda: channel.sent == ['a', 'b', 'c'])
    tell(box, 'f')
    waiting.wait_for(lambda: channel.sent[3:] == ['f'])
    assert (counted('sent'), counted('dropped')) == (4, 2)
    assert [record.getMessage() for record
            in fixtures.complaints(caplog)][:2] == [
        'Notifications cannot be sent: Connection refused',
        'A notification is dropped: too many wait.']
    assert len(fixtures.complaints(caplog)) == 3    # it is back


def test_a_broker_that_hangs_holds_nobody(box, channel, counted):
    channel.free.clear()
    tell(box, *'abcdef')
    assert counted('dropped') == 3
    box.stop()
    assert counted('dropped') == 6
    tell(box, 'late')
    assert counted('dropped') == 7


@pytest.mark.parametrize('problem', [
    outbox.Unsendable('the message is too large'), ValueError('x')])
def test_what_cannot_be_sent_keeps_nothing_back(
        box, channel, counted, problem, caplog):
    channel.problem = problem
    tell(box, 'a')
    waiting.wait_for(lambda: counted('dropped') == 1)
    channel.problem = None
    tell(box, 'b')
    waiting.wait_for(lambda: channel.sent == ['b'])
    assert len(fixtures.complaints(caplog)) == 1


def test_what_cannot_be_made_fails_nobody(box, counted):
    box.tell(lambda what: what['no such key'], {})
    assert counted('dropped') == 1


def test_an_end_sends_what_it_can(box, channel, counted, monkeypatch):
    monkeypatch.setattr(outbox, 'LEAVING', 10)
    channel.free.clear()
    tell(box, 'a', 'b')
    waiting.wait_for(lambda: channel.tries)
    ending = threading.Thread(target=box.stop)
    ending.start()
    channel.free.set()
    ending.join()
    assert channel.sent == ['a', 'b'] and counted('dropped') == 0


# -- what must arrive

def deliver(box, *names):
    return box.deliver(lambda what: notification.Notification(
        what, {}), names)


def test_a_delivery_ends_when_all_is_sent(box, channel, counted):
    """However many they are: its caller waits, so nothing piles up."""
    assert deliver(box, *'abcdef') == 6 * [True]
    assert channel.sent == [*'abcdef']
    assert deliver(box) == []
    assert (counted('sent'), counted('dropped')) == (6, 0)


def test_what_cannot_be_made_or_sent_is_told_to_the_caller(
        box, channel, counted):
    assert box.deliver(lambda what: notification.Notification(
        what['name'], {}), [{'name': 'a'}, {}, {'name': 'b'}]) == [
            True, False, True]
    channel.problem = outbox.Unsendable('the message is too large')
    assert deliver(box, 'a', 'b') == [False, False]
    assert counted('dropped') == 3


def test_a_broker_that_is_away_has_nothing_of_a_delivery(
        box, channel, counted, monkeypatch):
    """What the broker may have already is sent; the others are not."""
    monkeypatch.setattr(outbox, 'PATIENCE', 0.05)
    channel.problem = outbox.Unsent('Connection refused')
    assert deliver(box, *'abcdef') == 6 * [None]
    channel.problem = None
    tell(box, 'later')
    waiting.wait_for(lambda: channel.sent[-1:] == ['later'])
    assert channel.sent == ['a', 'later']
    assert counted('dropped') == 0


def test_a_delivery_does_not_wait_for_the_next_try(
        box, channel, monkeypatch, caplog):
    monkeypatch.setattr(outbox, 'SHORTEST', 1000)
    assert deliver(box, 'first') == [True]
    channel.problem = outbox.Unsent('away')
    tell(box, 'a')
    waiting.wait_for(lambda: 'cannot be sent' in caplog.text)
    channel.problem = None
    assert deliver(box, 'b') == [True]
    assert channel.sent == ['first', 'a', 'b']


def test_a_delivery_ends_with_the_process(box, channel, counted):
    channel.free.clear()
    found = []
    asking = threading.Thread(
        target=lambda: found.append(deliver(box, 'a', 'b')))
    asking.start()
    waiting.wait_for(lambda: channel.tries)
    ending = threading.Thread(target=box.stop)
    ending.start()
    asking.join()
    assert found == [[None, None]]
    ending.join()
