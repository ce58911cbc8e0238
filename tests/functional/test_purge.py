"""``db purge``: which rows of deleted instances go, and which stay."""

import contextlib
import datetime
import json
import signal
import sqlite3

import pytest
import sqlalchemy as sa

from computed import context
from computed.cmd.manage import database
from computed.conf import audit_period
from computed.db.cell import purge
from tests.functional import test_freeze
from tests.functional import test_power_sync
from tests.functional import test_soft_delete as soft_delete
from tests.support import fixtures

UUID, HOST = fixtures.UUID, fixtures.HOST
LONG_AGO = '2020-01-01 00:00:00.000000'
put, many_uuid = test_power_sync.put, test_power_sync.many_uuid
manager = test_power_sync.manager
GONE = {'vm_state': 'deleted', 'deleted': 1, 'deleted_at': LONG_AGO,
        'terminated_at': LONG_AGO, 'power_state': 0, 'cleaned': 1}
NONE = {f'kept_{reason}': 0 for reason in (
    'claimed', 'guest_left', 'files_left', 'younger', 'usage')}
NONE['purged_audits'] = 0
AUDIT = ('INSERT INTO usage_audits (host, period_beginning, period_ending, '
         'state, writes, attempt, marker, reported, unreported, began_at) '
         "VALUES (?, ?, ?, ?, 1, 1, '', 0, '', ?)")


def run(pair, *arguments):
    config = pair.folder / 'purge.conf'
    fixtures.write_config(config, {'connection': pair.url(pair.primary)})
    status, said = test_freeze.manage(
        pair, 'db', 'purge', '--config-file', str(config), '-f', 'json',
        *arguments)
    assert status == 0, said
    return json.loads(said)


def left(pair, table='instances'):
    [[count]] = pair.sql(pair.primary, f'SELECT count(*) FROM {table}')
    return count


@pytest.fixture
def gone(pair, host_side):
    """Its instance was deleted long ago."""
    put(pair, 'primary', **GONE)
    return pair


def test_a_row_goes_with_its_usage_and_its_events_stay(gone):
    gone.sql(gone.primary, 'INSERT INTO bandwidth_usage VALUES '
             "(?, '02:00', ?, 1, 1, 1, 1, 'e', 1)", UUID, LONG_AGO)
    gone.sql(gone.primary, 'INSERT INTO bandwidth_usage VALUES '
             "(?, '02:00', ?, 1, 1, 1, 1, 'e', 1)", many_uuid(1), LONG_AGO)
    gone.sql(gone.primary, 'INSERT INTO events (began_at, uuid, operation, '
             "asked_by) VALUES (?, ?, 'delete', 'x')", LONG_AGO, UUID)
    expected = {'dry_run': True, 'purged': 1, **NONE}
    assert run(gone, '--older-than', '30d', '--dry-run') == expected
    assert left(gone) == 1 and left(gone, 'bandwidth_usage') == 2
    assert run(gone, '--older-than', '30d') == {
        **expected, 'dry_run': False}
    assert left(gone) == 0 and left(gone, 'events') == 1
    assert gone.sql(gone.primary, 'SELECT uuid FROM bandwidth_usage') == [
        (many_uuid(1),)]
    assert run(gone, '--older-than', '30d')['purged'] == 0


@pytest.mark.parametrize('reason, columns', [
    ('claimed', {'claim_id': many_uuid(1)}),
    ('claimed', {'task_state': 'deleting'}),
    ('guest_left', {'guest_left': 1}),
    ('files_left', {'cleaned': 0}),
    ('files_left', {'cleaned': 0, 'clean_failed': 1}),
    ('younger', {'deleted_at': None, 'terminated_at': None}),
    ('younger', {'terminated_at': '2999-01-01 00:00:00.000000'}),
    (None, {'deleted': 0, 'vm_state': 'soft-delete'}),
    (None, {'deleted': 0, 'vm_state': 'active', 'deleted_at': None})])
def test_what_is_needed_stays(gone, reason, columns):
    put(gone, 'primary', **columns)
    expected = {**NONE, **({f'kept_{reason}': 1} if reason else {})}
    for more in ('--dry-run',), ():
        found = run(gone, '--older-than', '30d', *more)
        assert found == {'dry_run': bool(more), 'purged': 0, **expected}
    assert left(gone) == 1


def test_files_that_were_given_up_may_be_forgotten(gone):
    put(gone, 'primary', cleaned=0, clean_failed=1)
    assert run(gone, '--older-than', '1d', '--files-given-up')['purged'] == 1
    assert left(gone) == 0


def test_a_period_that_may_be_reported_still_keeps_it(gone):
    last, _ = audit_period.Period('month', 1).last_completed(
        datetime.datetime.now(datetime.UTC).replace(tzinfo=None))
    for days, kept in ((1, 1), (-1, 0)):
        end = f'{last + datetime.timedelta(days=days)}'
        put(gone, 'primary', deleted_at=end, terminated_at=end)
        found = run(gone, '--older-than', '1min', '--dry-run')
        assert (found['kept_usage'], found['purged']) == (kept, 1 - kept)


@pytest.mark.parametrize('state, begin, end, kept', [
    ('running', '2019-12-01', '2020-01-01', 1),
    ('running', '2020-02-01', '2020-03-01', 0),
    ('done', '2019-12-01', '2020-01-02', 0)])
def test_an_audit_that_goes_on_keeps_it(gone, state, begin, end, kept):
    gone.sql(gone.primary, AUDIT, HOST, f'{begin} 00:00:00.000000',
             f'{end} 00:00:00.000000', state, LONG_AGO)
    found = run(gone, '--older-than', '1d')
    assert (found['kept_usage'], left(gone)) == (kept, kept)


def test_a_host_that_makes_up_for_periods_keeps_it(gone):
    """Its newest audit is older than the end of the instance."""
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    ended = now - datetime.timedelta(days=100)
    put(gone, 'primary', deleted_at=f'{ended}', terminated_at=f'{ended}')
    for days, kept in ((10, 1), (-10, 0)):
        gone.sql(gone.primary, 'DELETE FROM usage_audits')
        newest = ended - datetime.timedelta(days=days)
        gone.sql(gone.primary, AUDIT, HOST,
                 f'{newest - datetime.timedelta(days=30)}', f'{newest}',
                 'done', LONG_AGO)
        assert run(gone, '--older-than', '1d', '--dry-run')[
            'kept_usage'] == kept


@pytest.mark.parametrize('state, end, purged', [
    ('done', '2020-02-01', 1), ('failed', '2020-02-01', 1),
    ('running', '2020-02-01', 0), ('done', '2999-01-01', 0)])
def test_old_audits_go(gone, state, end, purged):
    gone.sql(gone.primary, AUDIT, 'h9', '2020-01-01 00:00:00.000000',
             f'{end} 00:00:00.000000', state, LONG_AGO)
    for more, rows in (('--dry-run',), 1), ((), 1 - purged):
        assert run(gone, '--older-than', '30d', *more)[
            'purged_audits'] == purged
        assert left(gone, 'usage_audits') == rows


def test_many_go_in_small_transactions(gone, monkeypatch):
    for number in range(7):
        gone.add_instance(gone.primary, uuid=many_uuid(number), name='m',
                          **GONE)
    monkeypatch.setattr(purge, 'AT_ONCE', 3)
    engine, deletes = purge.opened(gone.url(gone.primary)), []
    try:
        sa.event.listen(engine, 'commit', deletes.append)
        assert purge.purge(engine, limits()) == 8
    finally:
        engine.dispose()
    assert len(deletes) == 3 and left(gone) == 0


def test_a_purge_that_is_killed_leaves_whole_rows(gone, tmp_path):
    """They are many, so that it is killed in the middle."""
    many = 10_000
    columns = ', '.join(name for _, name, *_ in gone.sql(
        gone.primary, "SELECT * FROM pragma_table_info('instances')")
        if name != 'uuid')
    gone.sql(gone.primary, f"""
        INSERT INTO instances (uuid, {columns}) WITH RECURSIVE numbers(n) AS (
            SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {many - 1})
        SELECT printf('10000000-0000-4000-8000-%012d', n), {columns}
        FROM numbers, instances""")
    gone.sql(gone.primary, "INSERT INTO bandwidth_usage SELECT uuid, '02:00', "
             "?, 1, 1, 1, 1, 'e', 1 FROM instances", LONG_AGO)
    config = tmp_path / 'purge.conf'
    fixtures.write_config(config, {'connection': gone.url(gone.primary)})
    program = fixtures.Program('computed-manage', tmp_path, 'db', 'purge',
                               '--config-file', str(config),
                               '--older-than', '30d')
    with contextlib.closing(sqlite3.connect(
            gone.primary, isolation_level=None)) as own:
        program.wait_for(lambda: left(gone) < many, 'the first rows to go')
        own.execute('BEGIN IMMEDIATE')      # it waits now
        program.end(signal.SIGKILL)
    rest = left(gone)
    assert 0 < rest < many and left(gone, 'bandwidth_usage') == rest
    assert run(gone, '--older-than', '30d')['purged'] == rest
    assert left(gone) == left(gone, 'bandwidth_usage') == 0


def limits(**changed):
    now = datetime.datetime(2026, 6, 1)
    return database.limits_of(
        now, 86400, audit_period.Period('month', 1), False)


@pytest.mark.parametrize('change', [
    {'cleaned': 0}, {'deleted': 0}, {'claim_id': many_uuid(9)},
    {'guest_left': 1}])
def test_a_change_between_look_and_delete_wins(gone, change, monkeypatch):
    real = purge._delete

    def delete(*args):
        put(gone, 'primary', **change)
        return real(*args)
    monkeypatch.setattr(purge, '_delete', delete)
    engine = purge.opened(gone.url(gone.primary))
    try:
        assert purge.purge(engine, limits()) == 0
    finally:
        engine.dispose()
    assert left(gone) == 1


def test_a_time_before_all_dates_purges_nothing(gone):
    assert run(gone, '--older-than', '999999999d')['purged'] == 0


@pytest.mark.parametrize('arguments, said', [
    ((), '--older-than'), (('--older-than', 'x'), 'x is no time'),
    (('--older-than', '-1d'), '--older-than')])
def test_a_wrong_time_is_one_line(gone, arguments, said):
    config = gone.folder / 'purge.conf'
    fixtures.write_config(config, {'connection': gone.url(gone.primary)})
    status, text = test_freeze.manage(
        gone, 'db', 'purge', '--config-file', str(config), *arguments)
    assert status != 0 and said in text


def test_the_tasks_do_not_miss_it(pair, manager, virt):
    """A guest of a purged instance is of nobody, and is never touched."""
    put(pair, **GONE)
    soft_delete.add_guest(manager, virt)
    run(pair, '--older-than', '30d')
    pair.sql(pair.replica, 'DELETE FROM instances')
    for task in ('_cleanup_running_deleted_instances',
                 '_run_pending_deletes', '_sync_power_states'):
        assert getattr(manager, task)(context.new()).acted == 0
    assert soft_delete.guests(virt).keys() == {UUID}
