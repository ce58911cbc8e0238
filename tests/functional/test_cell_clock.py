"""The seconds that conductors count together, in a real database."""

import uuid

import pytest
from sqlalchemy import event

from computed import context
from computed.db import witness
from computed.db.cell import cell_clock
from computed.db.cell import host
from computed.db.cell import succession
from computed.db.cell.database import cell
from computed.db.routing import incarnation
from computed.service import clock_keeper
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


def report(seen=None):
    assert host.report(context.new(), fixtures.HOST, fixtures.SILENT,
                       fixtures.SILENT, '{}', seen)


def register(seen):
    host.register(context.new(), fixtures.HOST,
                  succession.Life(*[fixtures.SILENT] * 3), '0', seen)


@pytest.fixture(autouse=True)
def told(router):
    cell_clock.hearing.told(cell_clock.hearing.asked()[1])


def test_of_several_conductors_one_adds_each_second(router):
    some = [clock_keeper.Keeper() for _ in range(3)]
    for keeper in some:
        keeper.turn()
    assert now().seconds == 0
    for seconds in range(1, 4):
        pauses = [keeper.turn() for keeper in some]
        assert now() == cell_clock.Reading(seconds, 0, 0)
    assert pauses == [clock_keeper.SECOND] + 2 * [clock_keeper.FOLLOW]


def test_one_that_slept_for_long_adds_one_second_at_most(router):
    asleep, awake = clock_keeper.Keeper(), clock_keeper.Keeper()
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
    keepers = [clock_keeper.Keeper() for _ in range(2)]
    for keeper in keepers:
        keeper.turn()
    keepers[0].turn()
    report()
    keepers[1].turn()
    assert now() == cell_clock.Reading(1, 1, 1)
    keepers[0].turn()
    assert now() == cell_clock.Reading(2, 1, 1)


def test_a_host_is_silent_since_its_last_heartbeat(router, pair):
    keeper = clock_keeper.Keeper()
    keeper.turn()
    for _ in range(5):
        keeper.turn()
    assert host.get(context.new(), fixtures.HOST).silent_for == 5
    report()
    assert host.get(context.new(), fixtures.HOST).silent_for == 0
    keeper.turn()
    assert host.get(context.new(), fixtures.HOST).silent_for == 1


@pytest.fixture
def statements(router):
    found = []
    engine = router.primary.heartbeats.facade.writer.get_engine()
    event.listen(engine, 'before_cursor_execute',
                 lambda connection, cursor, text, *_:
                 found.append(text.split()[0]))
    return found


def test_a_turn_costs_one_statement(router, statements):
    keeper = clock_keeper.Keeper()
    keeper.turn()
    statements.clear()
    keeper.turn()
    assert statements == ['BEGIN', 'UPDATE']


def test_so_does_a_report_of_what_a_host_has_seen(router, statements):
    keeper = clock_keeper.Keeper()
    keeper.turn()
    statements.clear()
    report(router.incarnation.witness.seen())
    assert statements == ['BEGIN', 'UPDATE']


# -- the incarnation

@pytest.mark.parametrize('called', [False, True])
def test_a_conductor_without_replicas_learns_of_an_incarnation_in_a_turn(
        pair, settings, clock, called):
    router = routed.make_router(pair, settings, clock, replicas=0)
    keeper = clock_keeper.Keeper()
    keeper.turn()
    drawn = begin_another(pair)
    if called:
        report()
    before = now().seconds
    keeper.turn()
    assert router.incarnation.number == drawn
    assert now().seconds == before + 1, 'the second is counted all the same'


def begin_another(pair):
    """As another conductor does."""
    drawn = str(uuid.uuid4())
    pair.sql(pair.primary, 'UPDATE database_identity SET incarnation = ?',
             drawn)
    return drawn


def current(pair):
    """The incarnation, and the revision of the host."""
    return pair.sql(pair.primary, 'SELECT incarnation, revision FROM '
                    'database_identity, hosts')[0]


def show(pair, seconds):
    pair.sql(pair.primary, 'UPDATE cell_clock SET seconds = ?', seconds)


def said(caplog):
    return [record.getMessage() for record in caplog.records
            if 'went back' in record.getMessage()]


@pytest.mark.parametrize('away', [False, True])
def test_conductors_notice_that_the_database_went_back(
        router, pair, caplog, away):
    """Only one of them begins a new incarnation."""
    keepers = [clock_keeper.Keeper() for _ in range(3)]
    show(pair, 1000)
    for keeper in keepers:
        keeper.turn()
    number, revision = current(pair)
    show(pair, 3)
    for keeper in keepers:
        if away:    # the primary was, during the restore
            keeper._seen = None
        keeper.turn()
    drawn = current(pair)
    assert drawn[0] not in (None, number)
    assert drawn[1] >= revision + incarnation.STRIDE
    assert router.incarnation.number == drawn[0]
    [line] = said(caplog)
    assert 'shows 3 s after it showed 1000 s' in line
    for _ in range(2):
        for keeper in keepers:
            keeper.turn()
    assert current(pair) == drawn
    assert now().seconds > 3


@pytest.mark.parametrize('seconds, failovers', [
    (400, 1), (500, 1), (600, 1), (600, 2 * witness.KEPT)])
def test_a_database_of_an_earlier_incarnation_went_back_too(
        router, pair, caplog, seconds, failovers):
    """A backup can bring it back, and so can a former primary."""
    keeper = clock_keeper.Keeper()
    show(pair, 500)
    keeper.turn()
    old = current(pair)[0]
    show(pair, 1000)
    for _ in range(failovers):
        later = begin_another(pair)
        keeper.turn()
    pair.sql(pair.primary, 'UPDATE database_identity SET incarnation = ?',
             old)
    show(pair, seconds)
    keeper.turn()
    assert current(pair)[0] not in (old, later)
    [line] = said(caplog)
    assert f'shows {seconds} s after it was in a later incarnation' in line


def test_so_did_one_that_no_conductor_has_counted_in(router, pair, caplog):
    """A request found the former primary, and the next one came at once."""
    keeper = clock_keeper.Keeper()
    show(pair, 500)
    keeper.turn()
    short = begin_another(pair)
    router.incarnation.adopt(short)
    later = begin_another(pair)
    keeper.turn()
    pair.sql(pair.primary, 'UPDATE database_identity SET incarnation = ?',
             short)
    keeper.turn()
    assert current(pair)[0] not in (short, later)
    assert len(said(caplog)) == 1


def test_a_backup_may_show_the_second_that_was_seen_last(router, pair, caplog):
    """The first backup was noticed, and began a new incarnation."""
    keeper = clock_keeper.Keeper()
    show(pair, 500)
    keeper.turn()
    old = current(pair)[0]
    later = begin_another(pair)
    show(pair, 400)
    keeper.turn()
    pair.sql(pair.primary, 'UPDATE database_identity SET incarnation = ?',
             old)
    # A request finds out which server is the primary after the restore.
    router.incarnation.adopt(old)
    keeper.turn()
    assert current(pair)[0] not in (old, later)
    assert len(said(caplog)) == 1


def test_a_failover_that_lost_seconds_has_an_incarnation_already(
        router, pair, caplog):
    keeper = clock_keeper.Keeper()
    show(pair, 1000)
    keeper.turn()
    before = current(pair)
    show(pair, 998)
    pair.sql(pair.primary, "UPDATE database_identity SET lineage = 'former'")
    for _ in range(2):
        keeper.turn()
    after = current(pair)
    assert after[0] != before[0]
    assert after[1] >= before[1] + incarnation.STRIDE
    assert said(caplog) == []


def test_a_replica_that_lags_shows_nothing_of_that(router, pair, caplog):
    """Neither does a second conductor that has seen less."""
    keeper = clock_keeper.Keeper()
    for seconds in (1000, 1000, 2000):
        show(pair, seconds)
        pair.sql(pair.replica, 'UPDATE cell_clock SET seconds = 1')
        keeper.turn()
        clock_keeper.Keeper().turn()
    before = current(pair)
    report({before[0]: 7, 'another': 5000})
    assert current(pair) == before
    assert said(caplog) == []


@pytest.mark.parametrize('call', [report, register])
def test_a_host_tells_a_conductor_that_has_just_started(
        router, pair, caplog, call):
    before = current(pair)
    call({before[0]: 5000})
    after = current(pair)
    assert after[0] != before[0]
    assert router.incarnation.number == after[0]
    assert len(said(caplog)) == 1
    call({before[0]: 5000})
    assert current(pair) == after


def test_one_host_cannot_begin_one_after_the_other(
        router, pair, clock, caplog):
    for _ in range(3):
        report({current(pair)[0]: 5000})
    assert len(said(caplog)) == 1
    clock.now += incarnation.AGAIN_AFTER
    report({current(pair)[0]: 5000})
    assert len(said(caplog)) == 2


@pytest.mark.parametrize('seen', [
    {'x' * 10 ** 5: 1}, {1: 1}, {'x': 2 ** 80}, {'x': -1}, {'x': True},
    {str(number): number for number in range(1000)}], ids=repr)
def test_what_cannot_have_been_seen_is_not_looked_at(router, pair, seen):
    before = current(pair)
    report(seen)
    assert current(pair) == before
