"""Conductors, as one of them sees the others."""

from computed.db.routing import peers


def test_one_that_changes_is_alive():
    found = peers.Peers()
    for now in range(100):
        found.observe({'mine': now, 'other': now, 'still': 1}, now)
    assert found.live(100, within=10) == 2
    assert found.dead(100, after=60) == {'still': 1}


def test_nothing_is_known_of_one_until_it_was_watched_for_long():
    found = peers.Peers()
    found.observe({'mine': 1, 'other': 7}, 1000)
    assert found.live(1000, within=10) == 2
    assert found.dead(1059, after=60) == {}


def test_one_whose_row_is_gone_does_not_count():
    found = peers.Peers()
    found.observe({'mine': 1, 'other': 7}, 0)
    found.observe({'mine': 2}, 1)
    assert found.live(1, within=10) == 1


def test_one_that_comes_back_is_alive_again():
    found = peers.Peers()
    found.observe({'other': 7}, 0)
    found.observe({'other': 7}, 500)
    assert found.live(500, within=10) == 0
    found.observe({'other': 1}, 501)
    assert found.live(501, within=10) == 1
    assert found.dead(501, after=60) == {}
