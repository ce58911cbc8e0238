"""What was seen of a database, and what of it is kept."""

import pytest

from computed.claims import seen
from computed.db import witness


def test_the_highest_count_of_each_incarnation_is_kept():
    found = witness.Witness({'a': 7})
    for name, seconds in (('a', 5), ('b', 9), ('b', 11), ('b', 10)):
        found.note(name, seconds)
    assert found.seen() == {'a': 7, 'b': 11}
    assert found.latest == ('b', 10)
    assert (found.of('a'), found.of('c'), found.of(None)) == (7, 0, 0)


def test_an_incarnation_after_which_another_was_seen_is_over():
    found = witness.Witness()
    for name, seconds in (('a', 5), ('a', 6), ('b', 6)):
        found.follow(name, seconds, found.seen())
    assert found.seen() == {'a': witness.OVER, 'b': 6}


def test_so_is_one_whose_clock_was_never_read():
    found = witness.Witness()
    found.meet('a')
    before = found.seen()
    found.meet('b')     # it may be later than the one that is followed
    found.follow('c', 6, before)
    assert found.seen() == {'a': witness.OVER, 'b': 0, 'c': 6}


def test_an_incarnation_that_is_not_known_yet_is_none():
    found = witness.Witness()
    found.note(None, 5)
    assert (found.seen(), found.latest) == ({}, (None, 0))


def test_the_incarnations_that_were_seen_last_are_kept():
    found = witness.Witness()
    for number in range(witness.KEPT):
        found.note(str(number), number)
    found.note('0', 1)
    found.note('new', 1)
    assert list(found.seen()) == [
        *map(str, range(2, witness.KEPT)), '0', 'new']


@pytest.mark.parametrize('values', [
    None, 7, [], {'a': 'x'}, {'a': True}, {'a': -1}, {'a': 2 ** 64},
    {'a': 1.5}, {7: 1}], ids=repr)
def test_what_cannot_be_true_is_not_believed(values):
    assert witness.sound(values) == {}


def test_it_outlives_the_service(tmp_path):
    path = tmp_path / 'seen.json'
    seen.Kept(path).note('a', 5)
    assert seen.Kept(path).seen() == {'a': 5}
    path.write_text('{"a": ')
    assert seen.Kept(path).seen() == {}


def test_a_full_disk_is_told_once(tmp_path, caplog):
    found = seen.Kept(tmp_path / 'none' / 'seen.json')
    for seconds in range(3):
        found.note('a', seconds)
    assert found.of('a') == 2
    assert len(caplog.records) == 1
