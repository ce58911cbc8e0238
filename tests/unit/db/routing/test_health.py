from computed.db.routing import health


def ejected(**settings):
    found = health.Health(**settings)
    found.good(0)
    found.bad('error')
    return found


def test_a_replica_is_not_used_before_it_was_looked_at():
    assert not health.Health().usable


def test_the_first_good_sample_suffices_at_start():
    found = health.Health()
    assert found.good(0) is True
    assert found.usable
    assert found.share(0) == 1.0


def test_an_ejected_replica_needs_good_samples_in_a_row():
    found = ejected(good_samples=3)
    assert [found.good(n) for n in (1, 2)] == [False, False]
    found.bad('error')
    assert [found.good(n) for n in (3, 4, 5)] == [False, False, True]


def test_a_replica_that_came_back_gets_its_share_slowly():
    found = ejected(good_samples=1, ramp=30)
    found.good(100)
    assert found.share(100) == 0.0
    assert found.share(115) == 0.5
    assert found.share(200) == 1.0


def test_only_the_sample_that_ejects_says_so():
    found = health.Health()
    assert found.bad('error') is False
    found.good(0)
    assert found.bad('error') is True
    assert found.bad('error') is False
    assert found.reason == 'error'
