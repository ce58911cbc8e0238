"""Where reads and writes go: a real router over two databases that differ.
"""

import contextlib
import os
import shutil
import sqlite3
import threading
import uuid

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from computed import context
from computed import exception
from computed.db.cell import cell_clock
from computed.db.cell import database as cell_database
from computed.db.cell import instance
from computed.db.cell import revision
from computed.db.cell.database import cell
from computed.db.routing import router as router_module
from tests.support import fixtures
from tests.support import routed

pair = routed.pair
clock = routed.clock
settings = routed.settings
router = routed.router
fresh = routed.fresh


def test_a_strict_read_goes_to_the_primary(fresh):
    ctxt = context.new()
    assert routed.answered(ctxt) == 'primary'
    assert routed.reason(ctxt) == 'strict'


def test_a_tolerant_read_goes_to_the_replica(fresh):
    ctxt = routed.tolerant()
    assert routed.answered(ctxt) == 'replica'
    assert ctxt.reads.last.role == 'replica'
    assert ctxt.reads.last.revision == 7


def test_a_replica_never_looked_at_is_not_used(router):
    assert routed.answered(routed.tolerant()) == 'primary'


def test_an_age_beyond_the_bound_means_the_primary(fresh, clock):
    clock.now += 10.1
    ctxt = routed.tolerant()
    assert routed.answered(ctxt) == 'primary'
    assert routed.reason(ctxt) == 'replica_lagging'


def test_not_found_on_a_replica_is_no_better_than_its_age(
        fresh, pair, clock):
    pair.sql(pair.replica, 'DELETE FROM instances')
    with pytest.raises(exception.InstanceNotFound):
        instance.get(routed.tolerant(), fixtures.UUID)
    clock.now += 10.1
    assert instance.get(routed.tolerant(), fixtures.UUID).uuid == fixtures.UUID


def test_the_caller_may_bear_more_or_less_than_the_default(fresh, clock):
    clock.now += 10.1
    assert routed.answered(routed.tolerant(max_staleness=60)) == 'replica'
    clock.now -= 5
    assert routed.answered(routed.tolerant(max_staleness=5)) == 'primary'


def test_the_age_is_that_of_the_newest_heartbeat_seen(fresh, clock):
    clock.now += 4
    ctxt = routed.tolerant()
    assert routed.answered(ctxt) == 'replica'
    assert ctxt.reads.last.age == pytest.approx(4)


def test_a_heartbeat_that_has_not_arrived_keeps_the_replica_old(
        fresh, pair, clock):
    clock.now += 8
    cell.router.send_heartbeat('c1', fresh.heartbeats.next(clock.now))
    clock.now += 4
    assert routed.answered(routed.tolerant()) == 'primary'


def test_a_replica_found_too_old_is_only_for_greater_bounds(
        fresh, pair, clock, settings):
    clock.now += 11
    routed.probe(fresh)
    assert fresh.status()[1]['reason'] == 'lagging'
    assert routed.answered(routed.tolerant()) == 'primary'
    assert routed.answered(routed.tolerant(max_staleness=60)) == 'replica'
    for _ in range(settings.replica_good_samples):
        assert routed.answered(routed.tolerant()) == 'primary'
        routed.show_heartbeat(fresh, pair)
    assert routed.answered(routed.tolerant()) == 'replica'


def test_a_bound_that_cannot_be_proven_means_the_primary(fresh):
    ctxt = routed.tolerant(max_staleness=1.9)
    assert routed.answered(ctxt) == 'primary'
    assert routed.reason(ctxt) == 'bound_too_small'


def test_the_age_is_judged_again_after_the_read(fresh, clock):
    # The read itself took so long that its rows are too old by now.
    ctxt = routed.tolerant()
    passing = iter((11, 0))

    @cell.read
    def slow(found):
        clock.now += next(passing)
        return instance.get_all_by_host(found, fixtures.HOST)

    assert routed.NAMES[slow(ctxt)[0].power_state] == 'primary'


def test_without_replicas_tolerant_reads_are_not_limited(
        pair, settings, clock):
    routed.make_router(pair, settings, clock, replicas=0)
    for _ in range(200):
        ctxt = routed.tolerant()
        assert routed.answered(ctxt) == 'primary'
    assert routed.reason(ctxt) == 'no_replica'


def test_the_primary_takes_no_more_than_the_budget(router):
    with pytest.raises(exception.Busy) as refused:
        for _ in range(51):
            assert routed.answered(routed.tolerant()) == 'primary'
    assert 0 < refused.value.kwargs['retry_after'] <= 1


def test_a_spent_budget_does_not_touch_strict_reads(router):
    with pytest.raises(exception.Busy):
        for _ in range(51):
            routed.answered(routed.tolerant())
    assert routed.answered(context.new()) == 'primary'


def test_a_read_inside_a_write_sees_the_write(fresh):
    ctxt = context.new()

    @cell.write
    def change(found):
        instance.record_power_states(found, fixtures.HOST, [
            {'uuid': fixtures.UUID, 'vm_state': 'active',
             'old': fixtures.PRIMARY, 'new': 4}], fixtures.OWNER)
        [row] = instance.get_all_by_host(
            found.tolerating_lag(True), fixtures.HOST)
        return row.power_state

    assert change(ctxt) == 4


def other():
    return dict(fixtures.INSTANCE, uuid=str(uuid.uuid4()))


def test_a_write_in_a_tolerant_context_is_refused_and_names_itself(fresh):
    with pytest.raises(exception.ReadOnlyScope, match='create writes'):
        instance.create(routed.tolerant(), other())


def test_a_write_inside_a_read_is_refused(fresh):
    @cell.read
    def look(found):
        return instance.create(found, other())
    with pytest.raises(exception.ReadOnlyScope):
        look(context.new())


def test_a_request_reads_its_own_writes(fresh):
    ctxt = context.new()
    instance.record_power_states(ctxt, fixtures.HOST, [
        {'uuid': fixtures.UUID, 'vm_state': 'active',
         'old': fixtures.PRIMARY, 'new': 4}], fixtures.OWNER)
    again = ctxt.tolerating_lag(True)
    [row] = instance.get_all_by_host(again, fixtures.HOST)
    assert row.power_state == 4
    assert routed.reason(again) == 'replica_behind_token'


def test_a_replica_that_has_seen_the_write_may_answer(fresh, pair):
    ctxt = context.new()
    instance.record_power_states(ctxt, fixtures.HOST, [
        {'uuid': fixtures.UUID, 'vm_state': 'active',
         'old': fixtures.PRIMARY, 'new': 4}], fixtures.OWNER)
    pair.sql(pair.replica, 'UPDATE hosts SET revision = revision + 1 '
             'WHERE name = ?', fixtures.HOST)
    assert routed.answered(ctxt.tolerating_lag(True)) == 'replica'


def test_a_write_that_came_to_nothing_is_not_waited_for(fresh):
    ctxt = context.new()
    assert instance.record_power_states(ctxt, fixtures.HOST, [
        {'uuid': fixtures.UUID, 'vm_state': 'stopped', 'old': 0,
         'new': 4}], fixtures.OWNER) == 0
    assert not ctxt.tokens
    assert routed.answered(ctxt.tolerating_lag(True)) == 'replica'


def test_a_replica_that_cannot_be_read_costs_no_error(fresh, pair):
    pair.replica.rename(pair.folder / 'gone')
    pair.replica.mkdir()
    for suffix in ('-wal', '-shm'):
        pair.folder.joinpath(f'replica.sqlite{suffix}').unlink(
            missing_ok=True)
    ctxt = routed.tolerant()
    assert routed.answered(ctxt) == 'primary'
    assert routed.reason(ctxt) == 'replica_failed'


def test_a_replica_that_is_missing_is_not_made(
        pair, settings, clock, tmp_path):
    pair.replica = tmp_path / 'missing.sqlite'
    router = routed.make_router(pair, settings, clock)
    router.replicas[str(pair.replica)].probe('c1', None, router.heartbeats)
    assert not pair.replica.exists()
    assert not router.status()[1]['usable']


def test_a_dead_replica_is_down_and_not_lagging(fresh, pair, clock):
    [replica] = fresh.replicas.values()
    pair.replica.unlink()
    replica.dispose()
    replica._engine.dispose()
    for _ in range(2):
        routed.probe(fresh)
    clock.now += 1
    ctxt = routed.tolerant()
    assert routed.answered(ctxt) == 'primary'
    assert routed.reason(ctxt) == 'replica_down'
    found = fresh.status()[1]
    assert (found['usable'], found['reason']) == (False, 'down')
    assert found['problem'] == 'the file is missing'
    assert found['down_for'] is not None


def cut(path):
    """As a disk does that loses the end of a file."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute('PRAGMA wal_checkpoint(TRUNCATE)')
    os.truncate(path, os.path.getsize(path) // 2)


def overwrite(path):
    path.with_name(f'{path.name}-wal').unlink(missing_ok=True)
    path.write_bytes(b'x' * 8192)


@pytest.mark.parametrize('damage, problem', [
    (lambda path: path.unlink(), 'the file is missing'),
    (lambda path: os.truncate(path, 0), 'the file is empty'),
    (cut, 'malformed'), (overwrite, 'not a database')],
    ids=['removed', 'emptied', 'cut', 'overwritten'])
def test_a_file_that_is_gone_or_damaged_is_named_with_the_remedy(
        router, pair, damage, problem, caplog):
    """Pools have connections to it."""
    assert routed.answered(context.new()) == 'primary'
    damage(pair.primary)
    caplog.clear()
    for _ in range(3):
        with pytest.raises(exception.FileUnusable) as refused:
            cell_clock.advance(context.new(), None, True)
        with pytest.raises(exception.FileUnusable):
            routed.answered(context.new())
    assert str(refused.value).startswith(
        f'The database file {pair.primary} ')
    assert isinstance(refused.value, exception.DatabaseDamaged) == (
        not problem.startswith('the file is '))
    assert problem in str(refused.value)
    assert 'Put it back from a backup' in str(refused.value)
    [said] = fixtures.complaints(caplog)
    assert problem in said.getMessage()
    assert said.exc_info is None
    found = router.status()[0]
    assert (found['usable'], found['reason']) == (False, 'down')
    assert problem in found['problem']
    assert found['down_for'] is not None


def test_a_file_that_was_put_back_is_used(router, pair):
    assert routed.answered(context.new()) == 'primary'
    kept = pair.primary.rename(pair.folder / 'kept')
    with pytest.raises(exception.FileUnusable):
        routed.answered(context.new())
    assert not pair.primary.exists()
    shutil.copy(kept, pair.primary)
    assert routed.answered(context.new()) == 'primary'


def test_a_replica_of_another_database_is_not_used(fresh, pair):
    pair.sql(pair.replica, "UPDATE database_identity SET uuid = 'other'")
    routed.show_heartbeat(fresh, pair)
    assert routed.answered(routed.tolerant()) == 'primary'
    assert fresh.status()[1]['reason'] == 'belongs to another database'


def test_the_primary_under_another_name_is_not_a_replica(
        pair, settings, clock, tmp_path):
    twin = tmp_path / 'twin.sqlite'
    twin.symlink_to(pair.primary)
    pair.replica = twin
    router = routed.make_router(pair, settings, clock)
    routed.show_heartbeat(router, pair)
    assert router.status()[1]['reason'] == 'is the primary itself'


def test_a_replica_with_an_older_schema_is_not_used(fresh, pair):
    pair.sql(pair.replica, "UPDATE alembic_version SET version_num = 'a0'")
    routed.show_heartbeat(fresh, pair)
    assert fresh.status()[1]['reason'] == 'has schema a0, too old'


def test_tolerant_reads_leave_threads_to_strict_ones(pair, settings, clock):
    router = router_module.Router(
        settings, pair.url(pair.primary), [pair.url(pair.replica)],
        tolerant_threads=1, clock=clock)
    cell.configure(router, lambda: 1000)
    router.incarnation.database_id = cell_database.get_id(context.new())
    routed.show_heartbeat(router, pair)
    entered, leave = threading.Event(), threading.Event()

    @cell.read
    def hang(found):
        entered.set()
        leave.wait(60)

    thread = threading.Thread(target=hang, args=[routed.tolerant()])
    thread.start()
    entered.wait(60)
    ctxt = routed.tolerant()
    assert routed.answered(ctxt) == 'primary'
    assert routed.reason(ctxt) == 'replica_busy'
    leave.set()
    thread.join()


def test_writers_and_readers_side_by_side_lose_nothing(router):
    @cell.write
    def count(found):
        return revision.bump(found, fixtures.HOST)

    def work():
        for _ in range(25):
            count(context.new())
            routed.answered(context.new())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ctxt = context.new()
    instance.get_all_by_host(ctxt, fixtures.HOST)
    assert ctxt.reads.last.revision == 7 + 200


def test_a_server_that_refuses_writes_answers_no_strict_read(
        router, pair):
    refusing = []

    @event.listens_for(router.primary.heartbeats.facade.writer.get_engine(),
                       'connect')
    @event.listens_for(router.primary.facade.writer.get_engine(), 'connect')
    def _(connection, record):
        if refusing:
            connection.execute('PRAGMA query_only = ON')

    assert routed.answered(context.new()) == 'primary'
    refusing.append(True)
    with pytest.raises(exception.PrimaryReadOnly):
        cell.router.send_heartbeat('c1', 1)
    with pytest.raises(exception.PrimaryReadOnly):
        routed.answered(context.new())
    refusing.clear()
    assert routed.answered(context.new()) == 'primary'


def test_another_server_at_the_primarys_address_is_found_out(
        router, pair):
    cell.router.send_heartbeat('c1', 1)
    router.primary.identity = 'the former one'
    assert routed.answered(context.new()) == 'primary'
    assert router.primary.identity == str(pair.primary)


def test_a_proxy_that_splits_reads_from_writes_is_found_out(router):
    splits = [True]

    # What it makes of the question that a connection begins with.
    @event.listens_for(router.primary.heartbeats.facade.writer.get_engine(),
                       'connect')
    @event.listens_for(router.primary.facade.writer.get_engine(), 'connect')
    def _(connection, record):
        if splits:
            record.info['identity'] = 'a replica'

    router.primary.dispose()
    router.primary.heartbeats.dispose()
    with pytest.raises(exception.PrimaryDivided):
        cell.router.send_heartbeat('c1', 1)
    with pytest.raises(exception.PrimaryDivided):
        routed.answered(context.new())
    splits.clear()
    assert routed.answered(context.new()) == 'primary'


def test_a_replica_that_went_back_in_time_is_as_old_as_it_says(
        fresh, pair, clock):
    for _ in range(3):
        clock.now += 3
        routed.show_heartbeat(fresh, pair)
    pair.sql(pair.replica, 'UPDATE replica_heartbeats SET heartbeat = 1')
    routed.probe(fresh)
    ctxt = routed.tolerant()
    assert routed.answered(ctxt) == 'replica'
    assert ctxt.reads.last.age == pytest.approx(9)


def test_a_replica_with_a_newer_schema_is_used(fresh, pair):
    pair.sql(pair.replica, "UPDATE alembic_version SET version_num = 'z9'")
    routed.show_heartbeat(fresh, pair)
    assert routed.answered(routed.tolerant()) == 'replica'


def test_rows_of_dead_conductors_are_removed(router, pair):
    for name in ('dead', 'back', 'live'):
        pair.sql(pair.primary, 'INSERT INTO replica_heartbeats VALUES '
                 "(?, 2, '2026-01-01 00:00:00.000000')", name)
    cell.router.purge_heartbeats({'dead': 2, 'back': 1})
    assert sorted(pair.sql(pair.primary, 'SELECT conductor_id FROM '
                           'replica_heartbeats')) == [('back',), ('live',)]


def test_a_primary_gone_read_only_is_said_in_one_line(router, pair):
    pair.primary.chmod(0o400)
    # root may write anyway: so say it to the database itself

    @event.listens_for(router.primary.facade.writer.get_engine(), 'connect')
    def _(connection, record):
        connection.execute('PRAGMA query_only = ON')

    with pytest.raises(exception.PrimaryReadOnly):
        instance.create(context.new(), other())


def test_a_connection_on_which_nothing_can_begin_goes_back_at_once(router):
    given, back = [], []
    engine = router.primary.facade.writer.get_engine()
    event.listen(engine, 'checkout', lambda *where: given.append(where))
    event.listen(engine, 'checkin', lambda *where: back.append(where))

    @event.listens_for(engine, 'begin', insert=True)
    def _(connection):
        raise sa.exc.OperationalError(
            'BEGIN', {}, sqlite3.OperationalError('database is locked'))

    with pytest.raises(exception.PrimaryUnreachable) as refused:
        instance.create(context.new(), other())
    # The error is still in hand, and with it whatever it refers to.
    assert len(back) == len(given) == 1, refused


def test_a_write_that_is_undone_leaves_nothing(router, pair):
    @cell.write
    def change(ctxt):
        revision.bump(ctxt, fixtures.HOST)
        cell.undo(ctxt)
        return 'undone'

    before = pair.sql(pair.primary, 'SELECT * FROM hosts')
    ctxt = context.new()
    assert change(ctxt) == 'undone'
    assert pair.sql(pair.primary, 'SELECT * FROM hosts') == before
    assert not ctxt.tokens


def test_a_create_is_repeated_just_when_its_row_goes(
        router, pair, monkeypatch):
    """It was there, and a purge or a restore takes it away."""
    real, values = instance._inserted, other()
    instance.create(context.new(), values)

    def inserted(ctxt, values):
        pair.sql(pair.primary, 'DELETE FROM instances WHERE uuid = ?',
                 values['uuid'])
        return real(ctxt, values)
    monkeypatch.setattr(instance, '_inserted', inserted)
    assert instance.create(context.new(), values).uuid == values['uuid']
