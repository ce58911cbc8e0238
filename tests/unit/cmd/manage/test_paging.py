import types

import pytest

from computed.cmd.manage import paging


class Page(list):
    next_marker = None


class Reader:
    """Pages of at most 3 of the numbers below ``count``."""

    def __init__(self, count):
        self.count = count
        self.asked = []
        self.told = []

    def __call__(self, limit, marker):
        self.asked.append((limit, marker))
        start = 0 if marker is None else int(marker)
        end = min(start + min(limit or 3, 3), self.count)
        page = Page(range(start, end))
        page.next_marker = str(end) if end < self.count else None
        return page


@pytest.mark.parametrize('count, limit, shown, calls, more', [
    (0, None, 0, 1, []),
    (3, None, 3, 1, []),
    (7, None, 7, 3, []),
    (7, 2, 2, 1, ['2']),
    (7, 3, 3, 1, ['3']),
    (7, 5, 5, 2, ['5']),
    (7, 7, 7, 3, []),
    (7, 9, 7, 3, []),
])
def test_pages_follow_until_the_end_or_the_limit(
        count, limit, shown, calls, more):
    reader = Reader(count)
    found = paging.rows(reader, limit, None, reader.told.append)
    assert list(found) == list(range(shown))
    assert len(reader.asked) == calls
    assert reader.told == more


def test_a_list_goes_on_at_a_marker():
    assert list(paging.rows(Reader(7), marker='5')) == [5, 6]


def test_the_first_page_is_read_at_once_and_others_when_needed():
    reader = Reader(7)
    found = paging.rows(reader)
    assert isinstance(found, types.GeneratorType)
    assert len(reader.asked) == 1
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    assert len(reader.asked) == 1
    next(found)
    assert len(reader.asked) == 2
