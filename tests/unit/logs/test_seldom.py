"""Lines that come often are written seldom."""

import logging
import types

import pytest

from computed import clock
from computed.logs import seldom

LOG = logging.getLogger(__name__)


@pytest.fixture
def now():
    """The time, which stands still; a list of one number."""
    found, before = [0.0], clock._source
    clock.use(types.SimpleNamespace(monotonic=lambda: found[0], time=None))
    yield found
    clock.use(before)


@pytest.fixture
def lines(now):
    return seldom.Seldom(LOG)


def texts(caplog):
    return [record.getMessage() for record in caplog.records]


def test_one_line_in_a_while_and_the_number_of_the_others(
        lines, now, caplog):
    for number in range(5):
        lines.warn('Lost %s', number)
    now[0] = seldom.PAUSE - 0.1
    lines.warn('Lost %s', 5)
    assert texts(caplog) == ['Lost 0']
    now[0] = seldom.PAUSE
    lines.warn('Lost %s', 6)
    lines.warn('Lost %s', 7)
    now[0] = 3 * seldom.PAUSE
    lines.error('Lost %s', 8)
    assert texts(caplog)[1:] == [
        'Lost 6 (5 more since the last such line)',
        'Lost 8 (1 more since the last such line)']
    assert [record.levelname for record in caplog.records] == [
        'WARNING', 'WARNING', 'ERROR']


def test_each_kind_has_its_own_limit(lines, caplog):
    for _ in range(3):
        lines.warn('One')
        lines.warn('Two')
        lines.warn('Two', kind='another')
    assert texts(caplog) == ['One', 'Two', 'Two']


def test_kinds_that_a_peer_invents_cannot_fill_log_or_memory(lines, caplog):
    for number in range(10 * seldom.KINDS):
        lines.warn('Refused', kind=str(number))
    assert len(caplog.records) == seldom.KINDS + 1
    assert len(lines._limit._kinds) == seldom.KINDS + 1


def test_a_fault_has_its_traceback(lines, caplog):
    for _ in range(2):
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            lines.fault('Failed.')
    said, = caplog.records
    assert said.exc_info[0] is ZeroDivisionError
    assert said.levelname == 'ERROR'
