"""The seconds that conductors count together, in a real database."""

import pytest
from sqlalchemy import event

from computed import context
from computed.db.cell import cell_clock
from computed.db.cell import host
from computed.db.cell.database import cell
from tests.support import fixtures
from tests.support import routed

pair = routed.pair
clock = routed.clock
settings = routed.settings
router = routed.router


@cell.read
def read(ctxt):
    return cell_clock.read(ctxt)


def now():
    return read(context.new())


def report():
    assert host.report(context.new(), fixtures.HOST, 'x', 'x', '{}')


@pytest.fixture(autouse=True)
def told(router):
    cell_clock.hearing.told(cell_clock.hearing.asked()[1])


def test_of_several_conductors_one_adds_each_second(router):
    some = [cell_clock.Keeper() for _ in range(3)]
    for keeper in some:
        keeper.turn()
    assert now().seconds == 0
    for seconds in range(1, 4):
        pauses = [keeper.turn() for keeper in some]
        assert now() == cell_clock.Reading(seconds, 0, 0)
    assert pauses == [cell_clock.SECOND] + 2 * [cell_clock.FOLLOW]


def test_one_that_slept_for_long_adds_one_second_at_most(router):
    asleep, awake = cell_clock.Keeper(), cell_clock.Keeper()
    for keeper in (asleep, awake):
        keeper.turn()
    for _ in range(5):
        awake.turn()
    asleep.turn()
    assert now().seconds == 5
    asleep.turn()
    assert now().seconds == 6


def test_a_call_that_only_a_slower_conductor_got_is_counted(
        router):
    keepers = [cell_clock.Keeper() for _ in range(2)]
    for keeper in keepers:
        keeper.turn()
    keepers[0].turn()
    report()
    keepers[1].turn()
    assert now() == cell_clock.Reading(1, 1, 1)
    keepers[0].turn()
    assert now() == cell_clock.Reading(2, 1, 1)


def test_a_host_is_silent_since_its_last_heartbeat(router, pair):
    keeper = cell_clock.Keeper()
    keeper.turn()
    for _ in range(5):
        keeper.turn()
    assert host.get(context.new(), fixtures.HOST).silent_for == 5
    report()
    assert host.get(context.new(), fixtures.HOST).silent_for == 0
    keeper.turn()
    assert host.get(context.new(), fixtures.HOST).silent_for == 1


def test_a_turn_costs_one_statement(router):
    keeper = cell_clock.Keeper()
    keeper.turn()
    found = []
    engine = router.primary.heartbeats.facade.writer.get_engine()
    event.listen(engine, 'before_cursor_execute',
                 lambda connection, cursor, text, *_: found.append(text))
    keeper.turn()
    assert [text.split()[0] for text in found] == ['BEGIN', 'UPDATE']
