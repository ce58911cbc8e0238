"""Fallbacks of tolerant reads, exact reads, and incarnations of a database.

The router is real.
"""

import contextlib
import functools
import re
import sqlite3
import threading

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from computed import chance
from computed import context
from computed import exception
from computed.db.cell import host
from computed.db.cell import instance
from computed.db.cell import resources
from computed.db.cell.claims import claim
from computed.db.cell.database import cell
from computed.db.routing import incarnation
from computed.db.routing import primary
from tests.support import fixtures
from tests.support import routed

OTHER = '22222222-2222-4333-8444-555555555555'
pair = routed.pair
clock = routed.clock
settings = routed.settings
router = routed.router
fresh = routed.fresh


@contextlib.contextmanager
def primary_down(router):
    """Nothing can be asked of the primary while the block lasts."""
    def refuse(dialect, record, arguments, parameters):
        raise dialect.loaded_dbapi.OperationalError(
            'unable to open database file')
    engines = [node.facade.writer.get_engine()
               for node in (router.primary, router.primary.heartbeats)]
    for engine in engines:
        event.listen(engine, 'do_connect', refuse)
        engine.dispose()
    yield
    for engine in engines:
        event.remove(engine, 'do_connect', refuse)


def change(ctxt, old=fixtures.PRIMARY, new=4):
    assert instance.record_power_states(ctxt, fixtures.HOST, [
        {'uuid': fixtures.UUID, 'vm_state': 'active', 'old': old,
         'new': new}], fixtures.OWNER)


def incarnation_of(ctxt):
    return ctxt.tokens.of(cell.database_id).incarnation


# -- the primary is down

def test_within_the_bound_tolerant_reads_survive_the_primary(fresh):
    with primary_down(fresh):
        assert routed.answered(routed.tolerant()) == 'replica'


def test_beyond_the_bound_the_age_is_said(fresh, clock):
    clock.now += 11
    with primary_down(fresh), pytest.raises(
            exception.TooStale, match='may be 11.0 s old.*at most 10') as no:
        routed.answered(routed.tolerant())
    assert no.value.kwargs['age'] == pytest.approx(11)
    assert no.value.kwargs['retry_after'] > 0


def test_a_replica_never_measured_has_no_age_to_be_said(router):
    with primary_down(router), pytest.raises(
            exception.TooStale, match='cannot be measured'):
        routed.answered(routed.tolerant())


def test_a_primary_that_took_no_heartbeat_is_not_waited_for(fresh, clock):
    clock.now += 11
    fresh.primary.silent = True
    with pytest.raises(exception.TooStale):
        routed.answered(routed.tolerant())
    assert routed.answered(context.new()) == 'primary'


def test_an_old_answer_that_is_preferred_to_none_has_its_age(
        fresh, clock):
    clock.now += 1000
    ctxt = routed.tolerant(availability=True)
    with primary_down(fresh):
        assert routed.answered(ctxt) == 'replica'
    assert ctxt.reads.last.reason == context.AVAILABILITY
    assert ctxt.reads.last.age == pytest.approx(1000)
    assert ctxt.reads.beyond_bound


def test_an_old_answer_is_given_by_a_replica_found_too_old_as_well(
        fresh, clock):
    clock.now += 1000
    routed.probe(fresh)
    assert fresh.status()[1]['reason'] == 'lagging'
    with primary_down(fresh):
        assert routed.answered(routed.tolerant(availability=True)) == (
            'replica')


def test_an_old_answer_is_given_however_long_the_primary_is_down(
        fresh, clock):
    for _ in range(10000):
        clock.now += 1
        fresh.next_heartbeat(clock.now)      # and nobody takes it
    routed.probe(fresh)
    ctxt = routed.tolerant(availability=True)
    with primary_down(fresh):
        assert routed.answered(ctxt) == 'replica'
    assert ctxt.reads.last.age == pytest.approx(10000)


def test_old_answers_are_preferred_only_to_none(fresh, clock):
    clock.now += 1000
    assert routed.answered(routed.tolerant(availability=True)) == 'primary'


def test_a_strict_read_gets_no_old_answer(fresh):
    with primary_down(fresh), pytest.raises(exception.PrimaryUnavailable):
        routed.answered(context.RequestContext(availability=True))


def test_an_old_answer_in_place_of_a_spent_budget(fresh, clock):
    clock.now += 11
    with pytest.raises(exception.Busy):
        for _ in range(51):
            routed.answered(routed.tolerant())
    assert routed.answered(routed.tolerant(availability=True)) == 'replica'


def test_a_primary_that_hangs_does_not_hold_every_thread(fresh):
    fresh.primary.silent = True
    depth = []

    @cell.read
    def look(found):
        depth.append(True)
        return look(context.new())

    with pytest.raises(exception.PrimaryUnavailable):
        look(context.new())
    assert len(depth) == primary.WAITING
    # What finds out that it is back does not wait in that line.
    assert cell.router.send_heartbeat('c1', 1)
    assert routed.answered(context.new()) == 'primary'


def test_hosts_that_report_to_a_primary_that_hangs_do_not_hold_every_thread(
        fresh, pair):
    fresh.primary.silent = True
    refused, reported = threading.Semaphore(0), []

    def report():
        try:
            reported.append(host.report(
                context.new(), fixtures.HOST, 'nobody', 'b', '{}'))
        except exception.PrimaryUnavailable:
            refused.release()

    threads = [threading.Thread(target=report)
               for _ in range(primary.WAITING + 4)]
    with contextlib.closing(sqlite3.connect(pair.primary)) as hanging:
        hanging.execute('BEGIN IMMEDIATE')
        for thread in threads:
            thread.start()
        for _ in range(4):
            assert refused.acquire(timeout=60)
    for thread in threads:
        thread.join()
    assert len(reported) == primary.WAITING


def test_a_heartbeat_taken_before_it_went_away_proves_nothing(fresh):
    engine = fresh.primary.heartbeats.facade.writer.get_engine()

    @event.listens_for(engine, 'commit', once=True)
    def _(connection):
        with primary_down(fresh), pytest.raises(
                exception.PrimaryUnavailable):
            routed.answered(context.new())

    assert cell.router.send_heartbeat('c1', 1)
    assert fresh.primary.doubtful
    assert routed.answered(context.new()) == 'primary'
    assert not fresh.primary.doubtful


# -- the budget, shared

def test_a_heartbeat_shows_those_of_other_conductors(router):
    assert cell.router.send_heartbeat('c1', 1).shown == {'c1': 1}
    assert cell.router.send_heartbeat('c2', 4).shown == {'c1': 1, 'c2': 4}


def test_conductors_share_the_budget(router):
    router.budget.conductors = 2
    answers = []
    with pytest.raises(exception.Busy):
        for _ in range(51):
            answers.append(routed.answered(routed.tolerant()))
    assert len(answers) == 25


# -- exact reads

def exactly():
    return context.new().exact_for(fixtures.HOST)


def test_an_exact_read_is_answered_by_a_replica_that_has_it_all(fresh):
    ctxt = exactly()
    assert routed.answered(ctxt) == 'replica'
    assert ctxt.reads.last.reason == 'after_host'


def test_an_exact_read_is_not_answered_by_a_replica_behind(fresh):
    change(context.new())
    ctxt = exactly()
    [row] = instance.get_all_by_host(ctxt, fixtures.HOST)
    assert row.power_state == 4
    assert routed.reason(ctxt) == 'replica_behind_token'


def test_an_exact_read_takes_any_age_that_is_proven(fresh, pair, clock):
    clock.now += 9
    ctxt = exactly()
    assert routed.answered(ctxt) == 'replica'
    assert ctxt.reads.last.age < 1


def usage(ctxt):
    return resources.get_usage(ctxt, fixtures.HOST, fixtures.UUID)


def test_what_no_revision_covers_is_as_old_as_the_replica(fresh, clock):
    clock.now += 5
    ctxt = exactly()
    usage(ctxt)
    assert routed.reason(ctxt) == 'after_host'
    assert ctxt.reads.last.role == 'replica'
    assert ctxt.reads.last.age == 5


@pytest.mark.parametrize('elapsed, bound', [(11, None), (5, 4)])
def test_it_is_not_older_than_its_bound(fresh, clock, elapsed, bound):
    clock.now += elapsed
    ctxt = context.RequestContext(max_staleness=bound).exact_for(
        fixtures.HOST)
    usage(ctxt)
    assert (ctxt.reads.last.role, routed.reason(ctxt)) == (
        'primary', 'replica_lagging')


def test_an_exact_query_reads_only_rows_of_its_host(router, pair):
    """Each change of them raises the revision of the host."""
    engine = router.primary.facade.writer.get_engine()
    seen = []

    @event.listens_for(engine, 'before_cursor_execute')
    def _(connection, cursor, statement, *rest):
        seen.extend(re.findall(r'(?:FROM|JOIN) (\w+)', statement))
    pair.sql(pair.primary, "INSERT INTO hosts VALUES ('h2', 1, "
             "'2026-01-01 00:00:00.000000')")
    assert instance.get_all_by_host.__wrapped__ in cell.of_host
    for function in cell.of_host:
        def answer(function=function):
            ctxt = context.new()
            return [row.uuid for row in router.read(
                'of_host', functools.partial(function, ctxt, fixtures.HOST),
                ctxt)]
        before = answer()
        pair.add_instance(pair.primary, uuid=OTHER, host='h2')
        assert answer() == before
        pair.sql(pair.primary, 'DELETE FROM instances WHERE uuid = ?', OTHER)
    assert set(seen) <= {'hosts', 'instances'}


def test_an_exact_read_of_a_host_without_a_row_says_so(fresh):
    with pytest.raises(exception.HostNotFound):
        resources.get_usage(context.new().exact_for('h9'), 'h9', 's')


def test_an_exact_read_fails_with_the_primary(fresh):
    with primary_down(fresh), pytest.raises(exception.PrimaryUnavailable):
        routed.answered(exactly())


def test_an_exact_read_has_no_budget(router):
    for _ in range(60):
        ctxt = exactly()
        assert routed.answered(ctxt) == 'primary'
    assert routed.reason(ctxt) == 'strict'


def test_a_write_in_an_exact_context_is_refused(fresh):
    with pytest.raises(exception.ReadOnlyScope):
        change(exactly())


def test_an_exact_read_trusts_no_replica_of_a_former_incarnation(fresh, pair):
    fresh.incarnation.adopt('another')
    assert routed.answered(exactly()) == 'primary'


# -- incarnations

def begin_incarnation(pair, router):
    """As a restore, or a failover, that a conductor has heard of."""
    number = incarnation.renew(pair.url(pair.primary))
    router.incarnation.adopt(
        cell.router.send_heartbeat('c1', 99).incarnation)
    assert router.incarnation.number == number


def test_the_incarnation_stays_while_the_server_does(router):
    assert router.incarnation.number
    assert cell.router.observe_incarnation() == router.incarnation.number


def test_another_lineage_begins_one_new_incarnation(router, pair):
    pair.sql(pair.primary, "UPDATE database_identity SET lineage = 'server 9'")
    [first, second] = [cell.router.observe_incarnation() for _ in '12']
    assert first == second != router.incarnation.number


def test_a_token_of_a_former_incarnation_is_refused_with_a_time(fresh, pair):
    ctxt = context.new()
    change(ctxt)
    begin_incarnation(pair, fresh)
    with pytest.raises(exception.Resync) as refused:
        routed.answered(ctxt.tolerating_lag(True))
    assert 1 <= refused.value.kwargs['retry_after'] <= 120


@pytest.mark.parametrize('begin', [
    lambda pair: pair.sql(pair.primary,
                          "UPDATE database_identity SET lineage = 'server 9'"),
    lambda pair: incarnation.renew(pair.url(pair.primary)),
], ids=['failover', 'restore'])
def test_what_was_read_in_a_former_incarnation_cannot_be_saved_over_another(
        fresh, pair, begin):
    """A revision that was lost is not given a second time."""
    def rename(revision, name):
        return instance.update(context.new(), fixtures.UUID, fixtures.HOST,
                               revision, {'name': name}).revision
    lost = rename(7, 'lost')
    for table in ('hosts', 'instances'):
        pair.sql(pair.primary, f'UPDATE {table} SET revision = 7')
    begin(pair)
    # What finds out that the server is another one.
    fresh.primary.identity = 'another'
    kept = rename(7, 'kept')
    assert lost < kept
    with pytest.raises(exception.InstanceChanged):
        rename(lost, 'over it')


def test_two_incarnations_that_begin_alike_give_no_revision_twice(
        fresh, pair, monkeypatch):
    """A former primary comes back; it lacks those that were given since."""
    monkeypatch.setattr(chance, '_source', chance._source)
    chance.seed(1)
    given = []
    for _ in range(2):
        pair.sql(pair.primary, 'UPDATE hosts SET revision = 7')
        incarnation.renew(pair.url(pair.primary))
        given += pair.sql(pair.primary, 'SELECT max(revision) FROM hosts')
    assert len(set(given)) == len(given)


def test_a_strict_read_needs_no_incarnation(fresh, pair):
    ctxt = context.new()
    change(ctxt)
    begin_incarnation(pair, fresh)
    instance.get_all_by_host(ctxt, fixtures.HOST)
    assert routed.reason(ctxt) == 'strict'


def test_a_new_write_ends_the_wait_for_the_old(fresh, pair):
    ctxt = context.new()
    change(ctxt)
    begin_incarnation(pair, fresh)
    change(ctxt, old=4, new=1)
    assert incarnation_of(ctxt) == fresh.incarnation.number
    assert routed.answered(ctxt.tolerating_lag(True)) == 'primary'


def test_a_router_looks_for_a_new_incarnation_before_it_refuses(fresh, pair):
    ctxt = context.new()
    change(ctxt)
    # Another conductor knew first.
    number = incarnation.renew(pair.url(pair.primary))
    ctxt.tokens.advance(cell.database_id, number, fixtures.HOST, 8)
    [row] = instance.get_all_by_host(ctxt.tolerating_lag(True),
                                     fixtures.HOST)
    assert row.power_state == 4
    assert fresh.incarnation.number == number


def test_a_replica_in_the_former_incarnation_satisfies_no_token(
        fresh, pair):
    begin_incarnation(pair, fresh)
    ctxt = context.new()
    change(ctxt)
    # It has the revision, but of another history.
    pair.sql(pair.replica, 'UPDATE hosts SET revision = ?', 2 ** 40)
    again = ctxt.tolerating_lag(True)
    [row] = instance.get_all_by_host(again, fixtures.HOST)
    assert row.power_state == 4
    assert routed.reason(again) == 'replica_behind_token'


def test_a_token_of_another_database_is_answered_by_the_primary(fresh):
    ctxt = routed.tolerant()
    ctxt.tokens.advance('another database', 'x', fixtures.HOST, 1)
    assert routed.answered(ctxt) == 'primary'


def test_a_token_of_another_database_does_not_weigh_on_ours(fresh):
    ctxt = routed.tolerant()
    ctxt.tokens.advance('another database', 'x', fixtures.HOST, 2 ** 40)
    ctxt.tokens.advance(
        cell.database_id, fresh.incarnation.number, fixtures.HOST, 1)
    assert routed.answered(ctxt) == 'replica'


# -- reads of hosts that read everything again

def test_resync_reads_have_a_limit_of_their_own(fresh, settings):
    inside = []

    @cell.read
    def look(found):
        if len(inside) < settings.resync_concurrency:
            inside.append(True)
            return look(context.new(resync=True))
        return routed.answered(context.new(resync=True))

    with pytest.raises(exception.ResyncFull):
        look(context.new(resync=True))
    assert routed.answered(context.new()) == 'primary'
    inside[:] = [True] * settings.resync_concurrency
    assert look(context.new(resync=True)) == 'primary'


# -- what operators see

def test_a_node_tells_what_it_answered_and_why(fresh):
    routed.answered(routed.tolerant())
    routed.answered(context.new())
    primary, replica = fresh.status()
    assert replica['queries'] == {
        'instance.get_all_by_host': {'lag_tolerant': 1}}
    assert primary['queries']['instance.get_all_by_host'] == {'strict': 1}
    assert replica['heartbeat_seen'] == replica['heartbeat_sent'] == 1
    assert primary['incarnation'] == replica['incarnation'] is not None
    assert primary['fallback']['conductors'] == 1


def test_the_age_of_one_server_is_not_taken_for_anothers(
        fresh, pair, monkeypatch):
    # Between the choice and the read the replica's address passes to a
    # server that has fallen behind, and the prober notices.
    replica = next(iter(fresh.replicas.values()))
    reading = replica.reading

    def passed_on():
        routed.probe(fresh)
        return reading()
    replica.identity = 'the server before'
    monkeypatch.setattr(replica, 'reading', passed_on)
    ctxt = routed.tolerant()
    assert routed.answered(ctxt) == 'primary'
    assert replica.identity != 'the server before'
    assert routed.reason(ctxt) == 'replica_failed'


def test_no_age_is_as_good_as_any_if_it_is_not_known(
        fresh, clock, monkeypatch):
    # The replica's address has passed to a server not looked at yet.
    clock.now += 1000
    replica = next(iter(fresh.replicas.values()))
    shown = replica.shown

    def passed_on():
        replica.identity = 'the server before'
        routed.probe(fresh)
        return shown()
    monkeypatch.setattr(replica, 'shown', passed_on)
    with primary_down(fresh), pytest.raises(exception.TooStale):
        routed.answered(routed.tolerant(availability=True))


def test_what_a_former_server_had_is_forgotten(fresh):
    replica = next(iter(fresh.replicas.values()))
    replica.identity = 'the server before'
    routed.probe(fresh)
    assert (replica.seen, replica.incarnation) == (None, None)
    assert not replica.candidate(fresh.heartbeats).usable


# -- a failover, and whose revisions a token counts

@pytest.fixture
def failed_over(fresh, pair):
    """Another server is the primary; it lacks what the replica has."""
    pair.sql(pair.replica, 'UPDATE hosts SET revision = 1000')
    incarnation.renew(pair.url(pair.primary))
    fresh.primary.identity = 'the former one'
    return fresh


def test_what_is_written_after_a_failover_is_read(failed_over):
    before = failed_over.incarnation.number
    ctxt = context.new()
    change(ctxt)
    assert incarnation_of(ctxt) != before
    reading = routed.tolerant(tokens=ctxt.tokens.to_dict())
    instance.get_all_by_host(reading, fixtures.HOST)
    assert routed.reason(reading) == 'replica_behind_token'


def test_it_is_read_if_a_heartbeat_was_the_first_to_meet_the_new_primary(
        failed_over):
    host.report(context.new(), fixtures.HOST, 'nobody', 'b', '{}')
    ctxt = context.new()
    change(ctxt)
    reading = routed.tolerant(tokens=ctxt.tokens.to_dict())
    instance.get_all_by_host(reading, fixtures.HOST)
    assert routed.reason(reading) == 'replica_behind_token'


def test_a_write_counts_in_the_incarnation_in_which_it_began(fresh):
    before, ctxt = fresh.incarnation.number, context.new()

    @cell.write
    def slow(inner):
        cell.record_revision(inner, fixtures.HOST, 9)
        fresh.incarnation.adopt('the next one')

    slow(ctxt)
    assert incarnation_of(ctxt) == before


def test_what_a_conductor_writes_first_has_an_incarnation(fresh):
    known, ctxt = fresh.incarnation.number, context.new()
    fresh.incarnation.number = None
    change(ctxt)
    assert incarnation_of(ctxt) == known


def test_what_a_repeat_finds_is_seen_as_if_it_had_written_it(fresh):
    row = {'kind': 'instance', 'key': fixtures.UUID, 'host': fixtures.HOST,
           'expected': {}, 'values': {}, 'acted': True}
    for call in (
            lambda ctxt: claim.grant(
                ctxt, OTHER, fixtures.OWNER, 'stop', [row]),
            lambda ctxt: claim.settle(ctxt, OTHER, [row], fixtures.OWNER)):
        first, again = context.new(), context.new()
        call(first)
        call(again)
        assert again.tokens.to_dict() == first.tokens.to_dict() != {}


def test_of_a_host_that_is_no_more_no_replica_is_asked(fresh, pair):
    pair.sql(pair.primary, 'DELETE FROM hosts WHERE name = ?', fixtures.HOST)
    ctxt = context.new().exact_for(fixtures.HOST)
    assert instance.get_all_by_host(ctxt, fixtures.HOST) == []


# -- whose fault it is

@pytest.mark.parametrize('words', [
    'readonly database', 'database is locked', '1290 read-only'])
def test_what_a_user_writes_is_not_taken_for_what_the_server_says(
        router, words):
    values = {**fixtures.INSTANCE, 'uuid': fixtures.UUID, 'host': None,
              'name': words}
    with pytest.raises(exception.RowExists):
        instance._create(context.new(), values, None)
    with pytest.raises(exception.InstanceExists):
        instance.create(context.new(), values)


def test_no_connection_in_time_is_an_error_of_ours(router):
    @cell.read
    def look(found):
        raise sa.exc.TimeoutError('QueuePool limit')

    with pytest.raises(exception.PrimaryUnavailable):
        look(context.new())
    assert not router.primary.doubtful


def test_exact_reads_have_no_more_threads_than_tolerant_ones(
        fresh):
    taken = []
    while fresh._replicas.places.acquire(blocking=False):
        taken.append(True)
    ctxt = context.new().exact_for(fixtures.HOST)
    assert routed.answered(ctxt) == 'primary'
    assert routed.reason(ctxt) == 'replica_busy'
    for _ in taken:
        fresh._replicas.places.release()
    assert routed.answered(ctxt) == 'replica'
