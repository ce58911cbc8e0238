import pytest

from computed.db.routing import incarnation


@pytest.mark.parametrize('known, lineage, wanted', [
    ((None, None), 'server 1', ('new', 'server 1')),
    (('old', None), 'server 1', ('old', 'server 1')),
    (('old', 'server 1'), 'server 1', ('old', 'server 1')),
    (('old', 'server 1'), 'server 2', ('new', 'server 2')),
])
def test_a_new_incarnation_begins_where_something_may_be_lost(
        known, lineage, wanted):
    assert incarnation.verdict(known, lineage, 'new') == wanted


def test_hosts_are_spread_over_the_window():
    places = [incarnation.resync_after(f'h{number}', 120, 0)
              for number in range(1000)]
    assert min(places) >= 1
    assert max(places) <= 120
    for start in range(0, 120, 20):
        in_part = [p for p in places if start <= p < start + 20]
        assert 100 < len(in_part) < 240


def test_time_that_has_passed_is_not_waited_for_again():
    place = incarnation.resync_after('h1', 120, 0)
    assert incarnation.resync_after('h1', 120, 1) == pytest.approx(place - 1)
    assert incarnation.resync_after('h1', 120, 1000) == 1


def test_an_incarnation_has_an_age():
    now = [10.0]
    known = incarnation.Incarnation(lambda: now[0])
    known.adopt('a')
    now[0] = 15.0
    known.adopt('a')
    assert known.age() == 5
    known.adopt('b')
    assert known.age() == 0
