"""What a reading of the cell's clock becomes."""

from computed.db.cell import cell_clock

START = cell_clock.Reading(100, 50, 100)


def after(seconds, reading=START):
    for _ in range(seconds):
        reading = reading.next()
    return reading


def test_while_no_host_is_heard_only_the_seconds_are_counted():
    assert after(7) == cell_clock.Reading(107, 50, 100)


def test_a_call_shows_that_hosts_could_be_heard_shortly_before():
    assert after(7).hear() == cell_clock.Reading(107, 57, 107)


def test_a_time_in_which_nobody_could_be_heard_counts_little():
    assert after(500).hear() == cell_clock.Reading(
        600, 50 + cell_clock.REACH, 600)


def test_a_second_call_in_the_same_second_adds_nothing():
    assert after(7).hear().hear() == after(7).hear()
