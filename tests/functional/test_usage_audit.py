"""What is reported of the instances that a host had in a period."""

import datetime
import logging
import threading
import uuid

import pytest

from computed import clock as system_clock
from computed import context
from computed import exception
from computed import manager as manager_module
from computed.claims import claims
from computed.claims import journal
from computed.db.cell import audits as audits_db
from computed.db.cell.database import cell
from computed.notifications import notification
from computed.notifications import outbox
from computed.objects import usage_audit as audit_obj
from computed.virt import memory
from tests.crashes import scenarios
from tests.support import fixtures
from tests.support import routed

HOST, UUID = fixtures.HOST, fixtures.UUID
NUMBERED = '00000000-0000-4000-8000-{:012}'
clock = routed.clock
settings = routed.settings
pair = routed.pair
router = routed.router
fresh = routed.fresh


class Consumers:
    """A broker.

    :ivar told: ``[(event type, data)]``
    :ivar refuses: the uuids that it takes no notification about
    :ivar away: whether it is away
    :ivar leaves_after: it is also away once it was told so many
    """

    def __init__(self):
        self.told, self.refuses, self.away = [], set(), False
        self.leaves_after = None

    def send(self, event_type, payload, failed):
        data = payload['computed_object.data']
        if self.away or len(self.told) == self.leaves_after:
            raise outbox.Unsent('away')
        if data['uuid'] in self.refuses:
            raise outbox.Unsendable('refused')
        self.told.append((event_type, data))

    def close(self):
        pass

    @property
    def keys(self):
        return [data['key'] for _, data in self.told]

    @property
    def uuids(self):
        return [data['uuid'] for _, data in self.told]


@pytest.fixture
def consumers(router, monkeypatch):
    """They listen to this process, which has the database."""
    monkeypatch.setattr(outbox, 'PATIENCE', 0.2)
    monkeypatch.setattr(outbox, 'SHORTEST', 0.01)
    found = Consumers()
    box = outbox.Outbox(found, 10)
    box.start()
    cell.deliver = lambda facts: box.deliver(notification.of_fact, facts)
    yield found
    cell.deliver = None
    box.stop()


def make_manager(pair, folder):
    pair.sql(pair.primary, 'DELETE FROM services WHERE host = ?', HOST)
    boot_id = str(uuid.uuid4())
    conf = fixtures.make_conf(folder, tasks__instance_usage_audit=True)
    conf.set_override('instance_usage_audit_period', scenarios.period(),
                      'tasks')
    owner = claims.Claims(
        fixtures.register(HOST, boot_id), HOST, fixtures.SERVICE, boot_id,
        journal.Journal(str(folder / 'claims')))
    return manager_module.ComputeManager(
        conf, memory.MemoryDriver(conf), owner)


@pytest.fixture
def manager(router, pair, tmp_path):
    pair.sql(pair.primary, 'DELETE FROM instances')
    return make_manager(pair, tmp_path)


def borders(manager):
    """The last period: begin and end."""
    return manager.conf.tasks.instance_usage_audit_period.last_completed(
        datetime.datetime.now(datetime.UTC))


def text(moment, seconds=0):
    return f'{moment + datetime.timedelta(seconds=seconds):%Y-%m-%d %X}' \
           '.000000'


def put(pair, manager, number=0, path=None, **columns):
    """An instance that ran from the begin of the period, unless told."""
    values = {'uuid': NUMBERED.format(number), 'name': f'vm{number}',
              'first_launched_at': text(borders(manager)[0]), **columns}
    values.setdefault('launched_at', values['first_launched_at'])
    pair.add_instance(path or pair.primary, **values)
    return values['uuid']


def put_many(pair, manager, count):
    put(pair, manager)
    columns = [name for _, name, *_ in pair.sql(
        pair.primary, 'PRAGMA table_info(instances)') if name != 'uuid']
    pair.sql(pair.primary, 'WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL '
             f'SELECT n + 1 FROM numbers WHERE n < {count - 1}) '
             f"INSERT INTO instances (uuid, {', '.join(columns)}) SELECT "
             "printf('00000000-0000-4000-8000-%012d', n), "
             f"{', '.join(columns)} FROM instances, numbers")


def audit(manager):
    return manager._instance_usage_audit(context.new())


def rows(pair):
    return pair.sql(pair.primary, 'SELECT host, state, attempt, reported, '
                    'unreported FROM usage_audits ORDER BY host')


def begin(manager, host=HOST):
    return audit_obj.UsageAudit.begin(context.new(), host, *(
        border.timestamp() for border in borders(manager)))


# -- what is told

def test_what_is_told_of_an_instance(manager, pair, consumers):
    start, end = borders(manager)
    put(pair, manager, vcpus=2, memory_mb=512, disk_gb=3,
        launched_at=text(end, 5))
    for mac, when in (('02:00:00:00:00:01', start),
                      ('02:00:00:00:00:02', start),
                      ('02:00:00:00:00:01', end)):
        pair.sql(pair.primary, 'INSERT INTO bandwidth_usage VALUES '
                 '(?, ?, ?, ?, ?, ?, ?, ?, ?)', NUMBERED.format(0), mac,
                 text(when), 10, 20, 1, 1, 'e', 1)
    report = audit(manager)
    assert (report.recorded, report.failed, report.note) == (1, 0, None)
    [(event_type, data)] = consumers.told
    begins, ends = (f'{border:%Y-%m-%dT%XZ}' for border in (start, end))
    assert event_type == 'compute.instance.exists'
    traffic = data.pop('bandwidth')
    assert data == {
        'key': f'{NUMBERED.format(0)}:{begins}:{ends}',
        'audit_period_beginning': begins, 'audit_period_ending': ends,
        'uuid': NUMBERED.format(0), 'name': 'vm0', 'host': HOST,
        'vm_state': 'active', 'power_state': 1, 'vcpus': 2, 'memory_mb': 512,
        'disk_gb': 3, 'network': 'host', 'created_at': '2026-01-01T00:00:00Z',
        'first_launched_at': begins, 'launched_at': f'{ends[:-3]}05Z',
        'deleted_at': None, 'terminated_at': None, 'damaged': []}
    # Also of an interface that the instance may not have any more.
    assert [one['computed_object.data'] for one in traffic] == [
        {'mac_address': f'02:00:00:00:00:0{number}', 'bw_in': 10,
         'bw_out': 20, 'damaged': []} for number in (1, 2)]
    assert 'computed_object.changes' not in traffic[0]


# The time of each event: seconds after the begin or the end of the period.
@pytest.mark.parametrize('is_told, launched, columns', [
    (True, ('end', -1), {}),
    (False, ('end', 0), {}),                # it belongs to the next period
    (True, ('begin', -999), {}),
    # A start sets launched_at again.
    (True, ('begin', 0), {'launched_at': ('end', 1)}),
    (False, None, {}),                      # it never ran
    (True, ('begin', -9), {'terminated_at': ('begin', 1), 'deleted': 1}),
    (False, ('begin', -9), {'terminated_at': ('begin', 0), 'deleted': 1}),
    (True, ('begin', 1), {'terminated_at': ('end', 9), 'deleted': 1}),
    # Its guest was destroyed late, because its host was away, or again.
    (False, ('begin', -9), {'deleted_at': ('begin', 0), 'deleted': 1,
                            'terminated_at': ('begin', 9)}),
    (True, ('begin', -9), {'deleted_at': ('begin', 1), 'deleted': 1,
                           'terminated_at': ('begin', -1)}),
    (False, ('begin', -9), {'deleted_at': ('begin', 0), 'deleted': 1}),
    (True, ('begin', -9), {'deleted_at': ('begin', 1), 'deleted': 1}),
    (True, ('begin', -9), {'deleted_at': ('begin', -1),
                           'vm_state': 'soft-delete'}),
    (False, ('begin', 0), {'host': 'h2'}),
    (False, ('begin', 0), {'host': None})])
def test_who_was_there(manager, pair, consumers, is_told, launched, columns):
    def moment(value):
        if not isinstance(value, tuple):
            return value
        side, seconds = value
        return text(borders(manager)[side == 'end'], seconds)
    fixtures.add_service(pair.primary, 'h2')
    put(pair, manager, first_launched_at=moment(launched), **{
        name: moment(value) for name, value in columns.items()})
    audit(manager)
    assert len(consumers.told) == is_told
    assert rows(pair) == [(HOST, 'done', 1, int(is_told), '')]


def test_the_first_start_stays_known(manager, pair):
    """launched_at is that of the last one."""
    found = put(pair, manager, first_launched_at=None, launched_at=None,
                vm_state='building')

    def launched():
        got = manager.claims.claim(context.new(), found, 'start', {})
        manager.claims.settle(context.new(), got, launched_at='@now')
        return pair.sql(pair.primary, 'SELECT first_launched_at, launched_at '
                        'FROM instances')[0]
    first, last = launched()
    assert first == last is not None
    pair.sql(pair.primary, "UPDATE instances SET first_launched_at = "
             "'2026-01-01 00:00:00.000000'")
    assert launched()[0] == '2026-01-01 00:00:00.000000'


def test_a_damaged_row_is_told_with_what_is_damaged(
        manager, pair, consumers):
    put(pair, manager, power_state='x', deleted_at='x')
    assert audit(manager).recorded == 1
    [(_, data)] = consumers.told
    assert data['damaged'] == ['power_state', 'deleted_at']
    assert (data['power_state'], data['deleted_at']) == (0, None)


# -- when

def test_it_is_off_by_default(manager, consumers, pair):
    manager.conf.clear_override('instance_usage_audit', 'tasks')
    assert audit(manager).note == '[tasks] instance_usage_audit is false'
    assert rows(pair) == []


def test_each_period_is_reported_once(manager, pair, consumers):
    put(pair, manager)
    for recorded in (1, 0, 0):
        assert audit(manager).recorded == recorded
    assert len(consumers.told) == 1


def test_periods_that_a_host_has_missed_follow(manager, pair, consumers):
    periods = manager.conf.tasks.instance_usage_audit_period
    last = borders(manager)
    missed = periods.before(last[0])
    put(pair, manager, first_launched_at='2020-01-01 00:00:00.000000')
    audit(manager)
    done = periods.before(missed[0])
    pair.sql(pair.primary, 'UPDATE usage_audits SET period_beginning = ?, '
             'period_ending = ?', text(done[0]), text(done[1]))
    consumers.told.clear()
    assert audit(manager).recorded == 2
    assert [data['audit_period_beginning'] for _, data in consumers.told] == [
        f'{begin:%Y-%m-%dT%XZ}' for begin, _ in (missed, last)]


def test_the_clock_of_the_database_says_when_a_period_is_over(
        manager, pair, consumers):
    now = system_clock.time()
    manager.database_time.learn(now + 3600 * 24 * 400)
    with pytest.raises(exception.PeriodNotOver) as got:
        audit(manager)
    assert got.value.kwargs['retry_after'] > 60
    assert isinstance(got.value, exception.PutOff)
    assert rows(pair) == [] and consumers.told == []
    with pytest.raises(exception.PeriodNotOver):
        audit_obj.UsageAudit.begin(context.new(), HOST, now - 60, now - 30)
    audit_obj.UsageAudit.begin(context.new(), HOST, now - 600, now - 90)


def test_nobody_who_listens_is_said_and_costs_no_statement(manager, pair):
    put(pair, manager)
    assert 'Set [notifications] driver' in audit(manager).note
    assert rows(pair) == []


# -- brokers on bad days

def test_while_the_broker_is_away_nothing_is_taken_for_told(
        manager, pair, consumers):
    put_many(pair, manager, 3)
    consumers.away = True
    assert 'cannot be sent now' in audit(manager).note
    assert rows(pair) == [(HOST, 'running', 1, 0, '')]
    consumers.away = False
    # The first one may have waited at the door.
    assert audit(manager).recorded == 3
    assert {*consumers.uuids} == {NUMBERED.format(one) for one in range(3)}
    assert rows(pair) == [(HOST, 'done', 1, 3, '')]


def test_a_broker_that_goes_in_the_middle(manager, pair, consumers):
    put_many(pair, manager, 5)
    consumers.leaves_after = 2
    report = audit(manager)
    assert report.recorded == 2 and 'cannot be sent' in report.note
    consumers.leaves_after = None
    assert audit(manager).recorded == 3
    assert sorted({*consumers.keys}) == sorted({*consumers.keys[:2],
                                               *consumers.keys[-3:]})
    assert len({*consumers.keys}) == 5


def test_what_the_broker_refuses_is_tried_in_the_next_runs(
        manager, pair, consumers, monkeypatch):
    monkeypatch.setattr(audit_obj, 'AT_ONCE', 2)
    put_many(pair, manager, 5)
    one, other = NUMBERED.format(1), NUMBERED.format(4)
    consumers.refuses = {one, other}
    assert (audit(manager).recorded, len(consumers.told)) == (3, 3)
    assert rows(pair) == [(HOST, 'running', 2, 3, f'{one} {other}')]
    consumers.refuses = {other}
    report = audit(manager)
    assert (report.recorded, report.failed) == (1, 1)
    assert rows(pair) == [(HOST, 'running', 3, 4, other)]
    consumers.refuses = set()
    assert audit(manager).recorded == 1
    assert rows(pair) == [(HOST, 'done', 3, 5, '')]
    assert len(consumers.keys) == len({*consumers.keys}) == 5


def test_what_the_broker_always_refuses_is_named_in_the_end(
        manager, pair, consumers, caplog):
    caplog.set_level(logging.INFO)
    put_many(pair, manager, 2)
    consumers.refuses = {NUMBERED.format(1)}
    for recorded, failed in ((1, 1), (0, 1), (0, 1), (0, 0)):
        report = audit(manager)
        assert (report.recorded, report.failed) == (recorded, failed)
    assert rows(pair) == [(HOST, 'failed', 3, 1, NUMBERED.format(1))]
    assert f'could not be reported: {NUMBERED.format(1)}' in caplog.text
    assert '1 instances that host h1 had from' in caplog.text


# -- deaths, and others who do the same

class Killed(BaseException):
    """Nothing that comes after it is done."""


class Deaths:
    """Counts what lasts, and dies at one of these moments."""

    def __init__(self, monkeypatch):
        self.passed, self.at = 0, None
        real = audits_db.advance

        def advance(*args):
            self.reached()
            found = real(*args)
            self.reached()
            return found
        monkeypatch.setattr(audits_db, 'advance', advance)

        deliver = cell.deliver

        def delivered(facts):
            # A death of the conductor is noticed by nobody in it.
            self.reached()
            found = []
            for fact in facts:
                found += deliver([fact])
                self.reached()
            return found
        monkeypatch.setattr(cell, 'deliver', delivered)

    def reached(self):
        self.passed += 1
        if self.passed == self.at:
            raise Killed


def test_an_audit_that_was_killed_goes_on_where_it_was(
        clock, manager, pair, consumers, monkeypatch):
    """At each moment once; the next life repeats at most one part."""
    monkeypatch.setattr(audit_obj, 'AT_ONCE', 4)
    put_many(pair, manager, 10)
    deaths = Deaths(monkeypatch)
    audit(manager)
    moments, wanted = deaths.passed, sorted(consumers.keys)
    assert moments == 10 + 3 * 3 and len({*wanted}) == 10
    for moment in range(1, moments + 1):
        pair.sql(pair.primary, 'DELETE FROM usage_audits')
        consumers.told.clear()
        deaths.passed, deaths.at = 0, moment
        clock.now += 1      # each second has its budget on the primary
        with pytest.raises(Killed):
            audit(manager)
        deaths.at = None
        audit(manager)
        assert sorted({*consumers.keys}) == wanted, moment
        assert len(consumers.keys) <= 10 + 4, moment
        assert rows(pair) == [(HOST, 'done', 1, 10, '')], moment
        # What has one key says the same.
        assert len({str(one) for one in consumers.told}) == 10


def test_an_audit_of_1000_that_is_killed_again_and_again(
        manager, pair, consumers, monkeypatch):
    put_many(pair, manager, 1000)
    deaths = Deaths(monkeypatch)
    lives = 0
    while not rows(pair) or rows(pair)[0][1] == 'running':
        lives += 1
        # Each life ends after 150 moments, in another part each time.
        deaths.passed, deaths.at = 0, 150
        try:
            audit(manager)
        except Killed:
            continue
    assert lives > 5
    assert sorted({*consumers.uuids}) == [
        NUMBERED.format(number) for number in range(1000)]
    assert rows(pair) == [(HOST, 'done', 1, 1000, '')]


def test_two_that_walk_at_the_same_time_count_each_instance_once(
        manager, pair, consumers, monkeypatch):
    """Between what is told and its write, another one writes."""
    monkeypatch.setattr(audit_obj, 'AT_ONCE', 2)
    put_many(pair, manager, 5)
    real, inside = audits_db.advance, threading.local()

    def advance(*args):
        if not getattr(inside, 'other', False):
            inside.other = True
            begin(manager).report()
            inside.other = False
        return real(*args)
    monkeypatch.setattr(audits_db, 'advance', advance)
    audit(manager)
    assert rows(pair) == [(HOST, 'done', 1, 5, '')]
    assert len({*consumers.keys}) == 5


def test_a_database_that_goes_back_meanwhile_has_it_begun_again(
        manager, pair, consumers):
    put(pair, manager)
    ours = begin(manager)
    pair.sql(pair.primary, 'DELETE FROM usage_audits')
    with pytest.raises(exception.AuditLost):
        ours.report()
    assert audit(manager).recorded == 1
    assert len({*consumers.keys}) == 1


# -- replicas, and what changes meanwhile

def test_a_replica_that_shows_a_finished_audit_again(
        fresh, manager, pair, consumers):
    for path in (pair.primary, pair.replica):
        put(pair, manager, path=path)
    assert audit(manager).recorded == 1
    # The replica knows nothing of it, then only that it has begun.
    assert audit(manager).recorded == 0
    pair.sql(pair.replica, 'INSERT INTO usage_audits SELECT * FROM (SELECT '
             '? AS host, ?, ?, ?, 1, 1, ?, 0, ?, ?, NULL)', HOST,
             *map(text, borders(manager)), 'running', '', '',
             text(borders(manager)[1]))
    ctxt = context.new()
    assert manager._instance_usage_audit(ctxt).recorded == 0
    assert ctxt.reads.by_role['replica'] >= 1
    assert len(consumers.told) == 1


def test_a_replica_that_may_lack_the_end_of_the_period_is_not_asked(
        fresh, router, clock, manager, pair, consumers):
    """It shows its instances only when it must have all of the period."""
    now = system_clock.time()
    found = put(pair, manager, first_launched_at=text(
        datetime.datetime.fromtimestamp(now - 71, datetime.UTC)))
    begun = audit_obj.UsageAudit.begin(context.new(), HOST, now - 600,
                                       now - 66)
    clock.now += 8
    # Its heartbeat is as old, and it lacks the instance.
    assert begun._bound() < 8
    begun.report()
    assert consumers.uuids == [found]
    assert begun._context.reads.by_role['replica'] == 0


def test_a_replica_that_must_have_all_of_the_period_is_asked(
        fresh, clock, manager, pair, consumers):
    for path in (pair.primary, pair.replica):
        put(pair, manager, 7, path=path)
    clock.now += 8
    ctxt = context.new()
    assert manager._instance_usage_audit(ctxt).recorded == 1
    # The audits of the host, its instances, and the retired hosts; on the
    # primary there is only what was written.
    assert ctxt.reads.by_role == {'replica': 3}


def test_an_instance_that_changes_between_list_and_report(
        manager, pair, consumers, monkeypatch):
    """No replica is needed for that: it is stopped, started, and deleted."""
    monkeypatch.setattr(audit_obj, 'AT_ONCE', 1)
    put_many(pair, manager, 3)
    real = audits_db.get_existing

    def look(*args):
        found = real(*args)
        now = text(datetime.datetime.now(datetime.UTC))
        pair.sql(pair.primary, "UPDATE instances SET launched_at = ?, "
                 "name = 'other'", now)
        pair.sql(pair.primary, 'UPDATE instances SET deleted = 1, deleted_at '
                 '= ?, terminated_at = ? WHERE uuid = ?', now, now,
                 NUMBERED.format(1))
        return found
    monkeypatch.setattr(audits_db, 'get_existing', look)
    assert audit(manager).recorded == 3
    assert len({*consumers.keys}) == 3


def test_a_run_that_ends_leaves_the_rest_to_the_next_one(
        manager, pair, consumers, monkeypatch):
    monkeypatch.setattr(audit_obj, 'AT_ONCE', 1)
    put_many(pair, manager, 2)
    real = audits_db.advance

    def advance(*args):
        manager.stopping.set()
        return real(*args)
    monkeypatch.setattr(audits_db, 'advance', advance)
    assert audit(manager).recorded == 1
    manager.stopping.clear()
    monkeypatch.setattr(audits_db, 'advance', real)
    assert audit(manager).recorded == 1
    assert len({*consumers.keys}) == len(consumers.keys) == 2


# -- hosts that are gone

def test_the_audit_of_a_deleted_host_is_done_by_another(
        manager, pair, consumers):
    put(pair, manager)
    put(pair, manager, 1, host='gone')
    fixtures.add_service(pair.primary, 'h2')
    put(pair, manager, 2, host='h2')
    assert audit(manager).recorded == 2
    assert rows(pair) == [('gone', 'done', 1, 1, ''),
                          (HOST, 'done', 1, 1, '')]
    assert consumers.uuids == [NUMBERED.format(0), NUMBERED.format(1)]


def test_it_goes_on_where_the_deleted_host_has_stopped(
        manager, pair, consumers, monkeypatch):
    monkeypatch.setattr(audit_obj, 'AT_ONCE', 1)
    for number in range(3):
        put(pair, manager, number, host='gone')
    begin(manager, 'gone').report()
    audit(manager)
    assert len(consumers.keys) == len({*consumers.keys}) == 3


# -- pure decisions

class Audit:
    def __init__(self, attempt=1, unreported='', marker='', reported=0):
        self.attempt, self.unreported = attempt, unreported
        self.marker, self.reported = marker, reported


@pytest.mark.parametrize('audit, told, last, wanted', [
    (Audit(), [], True, ('done', 1, '', 0, '')),
    (Audit(), [('a', True), ('b', True)], False, ('running', 1, 'b', 2, '')),
    (Audit(), [('a', True), ('b', None), ('c', False)], True,
     ('running', 1, 'a', 1, '')),
    (Audit(), [('a', None)], True, None),
    (Audit(unreported='a', marker='a'), [('b', False)], True,
     ('running', 2, '', 0, 'a b')),
    (Audit(attempt=2, unreported='a b'), [('a', True), ('b', False)], True,
     ('running', 3, '', 1, 'b')),
    (Audit(attempt=3, unreported='b'), [('b', False)], True,
     ('failed', 3, 'b', 0, 'b')),
    # Its row is purged.
    (Audit(attempt=3, unreported='b'), [], True, ('failed', 3, '', 0, 'b'))])
def test_what_is_written_after_a_part(audit, told, last, wanted):
    found = audit_obj.after(audit, told, last)
    assert wanted == (None if found is None else tuple(
        found[name] for name in ('state', 'attempt', 'marker', 'reported',
                                 'unreported')))


def test_so_many_refusals_as_fit_are_remembered():
    names = [NUMBERED.format(number) for number in range(1500)]
    found = audit_obj.after(Audit(), [(one, False) for one in names], False)
    assert len(found['unreported'].encode()) < 2 ** 16
    assert len(found['unreported'].split()) == audit_obj.REMEMBERED
