"""The checker of other tests, on made-up histories."""

import pytest

from tests.support import ledger


def write(value, at, took=0.1, session='w'):
    return ledger.Write(value, at - took, at, session)


WRITES = [write(1, 10.0), write(2, 11.0), write(3, 12.0)]


def read(value, ended, took=0.1, **facts):
    return ledger.Read(value, ended - took, ended, **facts)


@pytest.mark.parametrize('value, ended, expected', [
    (3, 20.0, 0.0),         # lacks nothing
    (2, 20.0, 8.0),
    (0, 20.0, 10.0),        # the oldest that it lacks
    (1, 10.5, 0.0),         # the others were not there yet
    (2, 12.0, 0.0),         # acknowledged this very moment
])
def test_an_answer_is_as_old_as_the_oldest_commit_it_lacks(
        value, ended, expected):
    assert ledger.staleness(WRITES, read(value, ended)) == expected


def test_what_nobody_acknowledged_need_not_be_seen():
    unknown = ledger.Write(4, 13.0, None)
    assert ledger.staleness([*WRITES, unknown], read(3, 20.0)) == 0.0


@pytest.mark.parametrize('bound, count', [(7.8, 1), (7.9, 0), (8.0, 0)])
def test_who_waited_long_is_not_told_that_the_answer_was_old(bound, count):
    # 8 s old at its end, 7.9 s when it was asked for
    found = ledger.too_old(WRITES, [read(2, 20.0, bound=bound)])
    assert len(found) == count


@pytest.mark.parametrize('age, count', [(7.9, 1), (8.0, 0), (None, 0)])
def test_an_age_that_is_too_small_is_found(age, count):
    assert len(ledger.understated(WRITES, [read(2, 20.0, age=age)])) == count


def test_a_session_that_goes_back_is_found():
    reads = [read(1, 1.0, session='a'), read(3, 2.0, session='a'),
             read(2, 3.0, session='a'), read(2, 4.0, session='b')]
    assert ledger.gone_back(reads) == [(reads[1], reads[2])]


def test_reads_that_overlap_have_no_order():
    assert ledger.gone_back([read(3, 2.0, took=2), read(2, 2.5, took=2)]) == []


@pytest.mark.parametrize('session, began, value, count', [
    ('w', 12.1, 2, 1),
    ('w', 12.1, 3, 0),
    ('x', 12.1, 2, 0),      # not its own write
    ('w', 11.9, 2, 0),      # not acknowledged when the read began
])
def test_own_writes_must_be_seen(session, began, value, count):
    found = ledger.own_writes_unseen(WRITES, [
        ledger.Read(value, began, began + 1, session)])
    assert len(found) == count


@pytest.mark.parametrize('final, lost, from_nowhere', [
    (2, 1, 0), (3, 0, 0), (4, 0, 0), (5, 0, 1)])
def test_a_counter_shows_what_was_acknowledged_and_no_more_than_was_tried(
        final, lost, from_nowhere):
    writes = [*WRITES, ledger.Write(4, 13.0, None)]
    assert ledger.lost(writes, final) == lost
    assert ledger.from_nowhere(writes, final) == from_nowhere


def test_the_record_knows_a_write_that_failed():
    now = iter([1.0, 2.0, 3.0, 5.0, 7.0])
    book = ledger.Ledger(lambda: next(now))
    with book.writing(1):
        pass
    with pytest.raises(OSError), book.writing(2, 's'):
        raise OSError
    assert book.writes == [ledger.Write(1, 1.0, 2.0),
                           ledger.Write(2, 3.0, None, 's')]
    book.reading(lambda: (1, {'age': 0.5}), bound=2.0)
    assert book.reads == [ledger.Read(1, 5.0, 7.0, bound=2.0, age=0.5)]
