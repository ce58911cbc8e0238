"""Replies whose queue is missing wait in a thread of their own."""

import pytest

from computed import clock
from computed.rpc import late_replies
from tests.support import waiting


class Queues:
    """Which queues are there, and what was sent to them."""

    def __init__(self):
        self.there, self.sent, self.tried = set(), [], []
        self.gone = []

    def reply(self, queue, value=None, seconds=60):
        def attempt():
            self.tried.append(queue)
            if queue == 'broken':
                raise ValueError('it cannot be sent')
            if queue in self.there:
                self.sent.append((queue, value))
            return queue in self.there
        return late_replies.Reply(
            queue, attempt, lambda: self.gone.append(queue),
            clock.monotonic() + seconds)


@pytest.fixture
def queues():
    return Queues()


@pytest.fixture
def late(monkeypatch):
    monkeypatch.setattr(late_replies, 'PAUSE', 0.01)
    return late_replies.LateReplies()


def test_it_is_sent_once_its_queue_is_there(late, queues):
    for value in (1, 2):
        assert late.add(queues.reply('a', value))
    assert late.add(queues.reply('b'))
    waiting.wait_for(lambda: queues.tried.count('b') > 2)
    assert queues.sent == []
    queues.there.add('a')
    waiting.wait_for(lambda: len(queues.sent) == 2)
    queues.there.add('b')
    waiting.wait_for(lambda: ('b', None) in queues.sent)
    assert queues.sent == [('a', 1), ('a', 2), ('b', None)]
    waiting.wait_for(lambda: not late._runs)
    assert late.add(queues.reply('a', 3))       # it begins again
    waiting.wait_for(lambda: ('a', 3) in queues.sent)
    assert queues.gone == []


def test_a_sender_that_is_gone_is_given_up_in_time(late, queues):
    for _ in range(3):
        late.add(queues.reply('a', seconds=-1))
    waiting.wait_for(lambda: len(queues.gone) == 3)
    assert queues.sent == []


def test_a_sender_has_a_limit_and_all_have_one(late, queues, monkeypatch):
    monkeypatch.setattr(late_replies, 'TOTAL', late_replies.PER_SENDER + 2)
    taken = [late.add(queues.reply('a')) for _ in range(99)]
    assert taken.count(True) == late_replies.PER_SENDER
    assert [late.add(queues.reply(name)) for name in 'bcd'] == [
        True, True, False]
    queues.there.update('abc')
    waiting.wait_for(lambda: not late._runs)


def test_each_round_asks_for_a_queue_once(queues):
    waiting_ = [queues.reply(name) for name in ('a', 'a', 'broken', 'b')]
    queues.there.add('b')
    assert late_replies.LateReplies().round(waiting_) == waiting_[2:]
    assert queues.tried == ['a', 'broken', 'b']
