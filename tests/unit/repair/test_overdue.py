"""When something has lasted for too long, and when that is worth a look."""

import datetime

import pytest

from computed.repair import overdue

BEGAN = datetime.datetime.fromtimestamp(1000, datetime.UTC)


@pytest.mark.parametrize('since, now, timeout, over', [
    (BEGAN, 1060, 60, False), (BEGAN, 1061, 60, True),
    (BEGAN, 9999, 0, False), (None, 9999, 60, False),
    # It begins now, by a clock that differs a little.
    (BEGAN, 941, 60, False),
    # The clock was set back: the primary knows how long it lasts.
    (BEGAN, 940, 60, True), (BEGAN, 940, 86400, True)])
def test_what_lasts_too_long(since, now, timeout, over):
    assert overdue.is_over(since, now, timeout) is over


@pytest.mark.parametrize('now, monotonic, timeout, left', [
    (1000, 50, 60, 60), (1059, 109, 60, 1), (1060, 110, 60, 0),
    # The limit has become shorter, or longer.
    (1059, 109, 30, -29), (1061, 111, 90, 29),
    # The clock of the database was set back.
    (0, 110, 60, 1060), (0, 3650, 60, 0),
    (1001, 51, 86400, 3599)])
def test_when_the_next_row_can_be_due(now, monotonic, timeout, left):
    assert overdue.Listed(1000, 50).seconds_left(
        now, monotonic, timeout) == left
