"""_poll_bandwidth_usage from end to end, with a fake hypervisor.

The replica has other rows than the primary. A task that believed it would
count bytes twice or lose them.
"""

import datetime
import pathlib
import threading
import time

import pytest

from computed import context
from computed import exception
from computed import states
from computed.objects import arguments
from computed.objects import bandwidth as bandwidth_obj
from computed.operations import build
from computed.operations import operation
from computed.operations import power
from computed.usage import counters as usage_counters
from computed.usage import database_time
from computed.usage import meter
from computed.virt import process
from tests.support import fixtures
from tests.support import process_guests as real
from tests.support import waiting

UUID = fixtures.UUID
MAC = '02:00:00:00:00:01'
DAY = 86400
NOW = int(datetime.datetime(2026, 5, 20, tzinfo=datetime.UTC).timestamp())
MAY, APRIL = '2026-05-01', '2026-04-01'
LONG_AGO = '2020-01-01 00:00:00.000000'


class Clock:
    now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def manager(fresh, virt, pair, clock):
    """A host that has an old instance, whose guest runs."""
    found = managed(fresh, virt, clock)
    for path in (pair.primary, pair.replica):
        pair.sql(path, 'UPDATE instances SET launched_at = ?', LONG_AGO)
    virt.add_foreign(UUID, found.claims.owner)
    return found


def managed(side, virt, clock):
    found = side.manager(virt)
    found.meter = meter.Meter(found, clock)
    return found


def poll(manager):
    return manager._poll_bandwidth_usage(context.new())


def carry(virt, bytes_in, bytes_out=0, uuid=UUID, mac=MAC):
    virt.set_counters(uuid, mac, bytes_in, bytes_out)


def usage(pair, where=None):
    """``[(date, in, out)]`` of the instance's rows, by period."""
    return [(start[:10], *counted) for start, *counted in pair.sql(
        where or pair.primary, 'SELECT start_period, bw_in, bw_out FROM '
        'bandwidth_usage WHERE uuid = ? ORDER BY 1', UUID)]


def put(pair, path, start=MAY, bw=(100, 10), ctr=(500, 50), epoch='0',
        refreshed=1):
    """Have a row there, as an earlier life of this host left it."""
    pair.sql(path, 'INSERT OR REPLACE INTO bandwidth_usage VALUES '
             '(?, ?, ?, ?, ?, ?, ?, ?, ?)', UUID, MAC,
             f'{start} 00:00:00.000000', *bw, *ctr, epoch, refreshed)


def claimed(manager, wanted):
    return operation.claimed(manager, context.new(), wanted, UUID)


# -- figures

def test_a_pass_is_one_read_at_first_and_then_one_write(
        manager, virt, pair, calls):
    carry(virt, 1000)
    for _ in range(3):
        calls.clear()
        assert poll(manager).recorded == 1
        if 'get_by_uuids' in calls:
            assert calls == ['get_by_uuids', 'record']
            carry(virt, 1030)
    assert calls == ['record']
    assert usage(pair) == [(MAY, 30, 0)]


def test_a_driver_that_counts_nothing_costs_nothing(manager, virt, calls):
    virt.capabilities = frozenset()
    virt.calls.clear()
    assert 'counts no bytes' in poll(manager).note
    operation.perform(manager, context.new(), power.STOP,
                      claimed(manager, power.STOP))
    assert 'record' not in calls and 'get_by_uuids' not in calls
    assert 'interface_counters' not in virt.calls


def test_without_interfaces_nothing_is_asked(manager, calls):
    assert poll(manager).recorded == 0
    assert calls == []


@pytest.mark.both_transports
def test_1000_interfaces_are_one_read_and_one_write(
        manager, virt, pair, calls):
    for number in range(500):
        uuid = f'00000000-0000-4000-8000-{number:012}'
        pair.add_instance(pair.primary, uuid=uuid)
        virt.add_foreign(uuid, manager.claims.owner)
        for mac in ('02:01', '02:02'):
            carry(virt, number + 1, 1, uuid, mac)
    assert poll(manager).recorded == 1000
    assert calls == ['get_by_uuids', 'record']
    assert pair.sql(pair.primary, 'SELECT COUNT(*), SUM(bw_in) FROM '
                    'bandwidth_usage') == [(1000, 500 * 501)]


def test_bytes_count_for_the_period_of_the_database(
        fresh, virt, pair, clock):
    """The host's own clock is an hour ahead."""
    found = fresh.manager(virt)
    found.database_time = database_time.DatabaseTime(
        own=lambda: time.time() + 3600)
    found.meter = meter.Meter(found, found.database_time.now)
    found.conf.set_override('instance_usage_audit_period', 'hour', 'tasks')
    virt.add_foreign(UUID, found.claims.owner)
    found.update_available_resource(context.new())
    carry(virt, 1000)
    poll(found)
    [(start, seconds)] = pair.sql(
        pair.primary, "SELECT start_period <= datetime('now'), "
        "last_refreshed / 1000000 - unixepoch('now') FROM bandwidth_usage")
    assert start == 1 and abs(seconds) < 60


# -- lag

def test_a_stale_row_on_the_replica_is_not_the_base(manager, virt, pair):
    """A reset lies between the two rows: the old one would lose bytes."""
    put(pair, pair.replica, bw=(100, 0), ctr=(500, 0), epoch='old')
    put(pair, pair.primary, bw=(900, 0), ctr=(400, 0))
    carry(virt, 450)
    poll(manager)
    assert usage(pair) == [(MAY, 950, 0)]


def test_a_damaged_row_is_no_base_and_is_mended(manager, virt, pair):
    put(pair, pair.primary, bw=(900, 0), ctr=('many', 0))
    for counter in (400, 430):
        carry(virt, counter)
        poll(manager)
    assert usage(pair) == [(MAY, 30, 0)]


def test_rows_that_only_the_primary_has_are_the_base(manager, virt, pair):
    put(pair, pair.primary, APRIL, bw=(70, 7), ctr=(500, 50))
    carry(virt, 510, 52)
    poll(manager)
    assert usage(pair) == [(APRIL, 70, 7), (MAY, 10, 2)]


def test_who_asks_for_usage_says_whether_a_replica_may_answer(
        manager, pair):
    put(pair, pair.replica, bw=(1, 1))
    put(pair, pair.primary, bw=(2, 2))

    def answer(**kwargs):
        found = bandwidth_obj.BandwidthUsageList
        by_uuids = found.get_by_uuids(context.new(), [UUID], [NOW, int(
            datetime.datetime(2026, 5, 1,
                              tzinfo=datetime.UTC).timestamp())], **kwargs)
        by_uuid = found.get_by_uuid(context.new(), UUID, 5, **kwargs)
        return [row.bw_in for row in [*by_uuids, *by_uuid]]
    assert answer() == answer(use_slave=False) == [2, 2]
    assert answer(use_slave=True) == [1, 1]


def test_the_rows_of_both_periods_come_with_when_it_was_launched(
        manager, pair):
    for start in (MAY, APRIL, '2026-03-01'):
        put(pair, pair.primary, start)
    starts = [int(datetime.datetime(2026, month, 1, tzinfo=datetime.UTC)
                  .timestamp()) for month in (4, 5)]
    absent = UUID.replace('1', '7')
    found = bandwidth_obj.BandwidthUsageList.get_by_uuids(
        context.new(), [UUID, absent], starts)
    assert sorted(row.start_period.month for row in found) == [4, 5]
    assert found.launched == {UUID: 1577836800}


def test_the_newest_periods_come_first(manager, pair):
    for start in (APRIL, '2026-03-01', MAY):
        put(pair, pair.primary, start)
    found = bandwidth_obj.BandwidthUsageList.get_by_uuid(
        context.new(), UUID, 2)
    assert [row.start_period.month for row in found] == [5, 4]


# -- what is known, what is not

def test_an_old_guest_without_rows_is_counted_from_now_on(
        manager, virt, pair):
    carry(virt, 1000, 100)
    poll(manager)
    carry(virt, 1040, 101)
    poll(manager)
    assert usage(pair) == [(MAY, 40, 1)]


@pytest.mark.parametrize('launched, counted', [
    ('2026-05-19 00:00:00.000000', 1000), (None, 1000),
    ('2026-04-01 00:00:00.000000', 1000),
    ('2026-03-31 23:59:59.000000', 0)])
def test_a_guest_launched_since_rows_could_be_there_counts_from_zero(
        manager, virt, pair, launched, counted):
    pair.sql(pair.primary, 'UPDATE instances SET launched_at = ?', launched)
    carry(virt, 1000)
    poll(manager)
    assert usage(pair) == [(MAY, counted, 0)]


def test_a_guest_without_an_instance_leaves_no_row(manager, virt, pair):
    pair.sql(pair.primary, 'DELETE FROM instances')
    carry(virt, 1000)
    assert poll(manager).recorded == 0


def test_a_foreign_guest_is_not_counted(manager, virt, pair):
    pair.sql(pair.primary, 'UPDATE instances SET launched_at = NULL')
    virt.add_foreign(UUID, None)
    carry(virt, 1000)
    assert poll(manager).recorded == 0
    assert usage(pair) == []


def test_the_next_life_of_the_daemon_goes_on_where_this_one_ended(
        manager, virt, pair, clock):
    carry(virt, 1000)
    poll(manager)
    manager.meter = meter.Meter(manager, clock)
    carry(virt, 1500)
    poll(manager)
    assert usage(pair) == [(MAY, 500, 0)]


def test_a_new_period_begins_without_a_read(
        manager, virt, pair, clock, calls):
    carry(virt, 1000)
    poll(manager)
    carry(virt, 1100)
    poll(manager)
    clock.now += 20 * DAY
    carry(virt, 1130)
    calls.clear()
    poll(manager)
    assert calls == ['record']
    assert usage(pair) == [(MAY, 100, 0), ('2026-06-01', 30, 0)]


def test_a_clock_set_back_over_the_border_loses_and_doubles_nothing(
        manager, virt, pair, clock):
    carry(virt, 1000)
    poll(manager)
    clock.now += 20 * DAY
    carry(virt, 1100)
    poll(manager)
    clock.now -= 20 * DAY
    carry(virt, 1130)
    poll(manager)
    carry(virt, 1131)
    poll(manager)
    assert usage(pair) == [(MAY, 31, 0), ('2026-06-01', 100, 0)]


def test_other_periods_by_option_lose_and_double_nothing(
        manager, virt, pair):
    carry(virt, 1000)
    poll(manager)
    manager.conf.set_override('instance_usage_audit_period', 'day', 'tasks')
    carry(virt, 1100)
    poll(manager)
    manager.conf.clear_override('instance_usage_audit_period', 'tasks')
    carry(virt, 1110)
    poll(manager)
    # At the very border, the day before is not over.
    assert usage(pair) == [(MAY, 10, 0), ('2026-05-19', 100, 0)]


def test_a_guest_that_was_elsewhere_meanwhile_is_read_again(
        manager, virt, pair):
    carry(virt, 1000)
    poll(manager)
    put(pair, pair.primary, bw=(700, 0), ctr=(30, 0), epoch='there',
        refreshed=NOW * 1_000_000 + 5)
    virt.set_power_state(UUID, states.SHUTDOWN)
    virt.set_power_state(UUID, states.RUNNING)      # another epoch
    carry(virt, 20)
    poll(manager)
    assert usage(pair) == [(MAY, 720, 0)]


def test_counters_of_no_use_are_left_out_and_counted(manager, virt, pair):
    carry(virt, 1000)
    poll(manager)
    carry(virt, -1)
    carry(virt, 5, mac='02:02')
    report = poll(manager)
    assert (report.refused, report.recorded) == (1, 1)
    carry(virt, 1010)
    poll(manager)
    assert (MAY, 10, 0) in usage(pair)


def test_an_incomplete_list_of_guests_is_no_list(manager, virt, calls):
    carry(virt, 1000)
    virt.complete = False
    assert 'incomplete' in poll(manager).note
    assert calls == []


# -- what goes wrong

def test_what_could_not_be_written_is_written_later(
        manager, virt, pair, host_side, monkeypatch):
    """Nothing is lost, not even with a reset and a new period between."""
    carry(virt, 1000)
    poll(manager)

    def away(*args, **kwargs):
        raise exception.PrimaryUnavailable()
    with monkeypatch.context() as patch:
        patch.setattr(host_side.conductor, 'object_class_action_versions',
                      away)
        for counted in (1100, 1150, 20, 30):
            carry(virt, counted)
            with pytest.raises(exception.PrimaryUnavailable):
                poll(manager)
        manager.meter._clock.now += 20 * DAY
        carry(virt, 35)
        with pytest.raises(exception.PrimaryUnavailable):
            poll(manager)
    assert usage(pair) == [(MAY, 0, 0)]
    poll(manager)
    assert usage(pair) == [(MAY, 180, 0), ('2026-06-01', 5, 0)]


def test_what_could_not_be_read_is_accounted_later(
        manager, virt, pair, host_side, monkeypatch):
    put(pair, pair.primary, bw=(100, 0), ctr=(500, 0))

    def away(*args, **kwargs):
        raise exception.PrimaryUnavailable()
    with monkeypatch.context() as patch:
        patch.setattr(host_side.conductor, 'object_class_action_versions',
                      away)
        for counted in (600, 700, 50):
            carry(virt, counted)
            with pytest.raises(exception.PrimaryUnavailable):
                poll(manager)
        assert len(manager.meter._samples) == 2
    poll(manager)
    assert usage(pair) == [(MAY, 350, 0)]


def test_nor_does_it_matter_over_how_many_periods(
        manager, virt, pair, clock, monkeypatch):
    """One call may not name all of them."""
    put(pair, pair.primary, bw=(100, 0), ctr=(500, 0))
    manager.conf.set_override('instance_usage_audit_period', 'hour', 'tasks')

    def away(*args, **kwargs):
        raise exception.PrimaryUnavailable()
    with monkeypatch.context() as patch:
        patch.setattr(bandwidth_obj.BandwidthUsageList, 'get_by_uuids', away)
        for counted in range(arguments.MOMENTS + 1):
            carry(virt, 600 + counted)
            with pytest.raises(exception.PrimaryUnavailable):
                poll(manager)
            clock.now += 3600
    assert poll(manager).recorded == arguments.MOMENTS + 2


@pytest.mark.parametrize('gone', [False, True])
def test_what_waits_to_be_written_is_newer_than_the_database(
        manager, virt, pair, monkeypatch, gone):
    carry(virt, 1000)
    poll(manager)

    def away(*args, **kwargs):
        raise exception.PrimaryUnavailable()
    with monkeypatch.context() as patch:
        patch.setattr(bandwidth_obj.BandwidthUsageList, 'record', away)
        carry(virt, 1100)
        with pytest.raises(exception.PrimaryUnavailable):
            poll(manager)
        virt.set_power_state(UUID, states.SHUTDOWN)
        if gone:
            virt.vanish(UUID)
            with pytest.raises(exception.PrimaryUnavailable):
                poll(manager)
            virt.add_foreign(UUID, manager.claims.owner, states.SHUTDOWN)
    virt.set_power_state(UUID, states.RUNNING)
    carry(virt, 20)
    poll(manager)
    assert usage(pair) == [(MAY, 120, 0)]


def test_a_write_that_arrives_late_does_not_undo_a_newer_one(
        manager, virt, pair):
    carry(virt, 1000)
    poll(manager)
    carry(virt, 1500)
    poll(manager)
    may = int(datetime.datetime(2026, 5, 1,
                                tzinfo=datetime.UTC).timestamp())
    for refreshed, counted in ((0, 500), (NOW * 1_000_000 + 9, 7)):
        late = {'uuid': UUID, 'mac_address': MAC, 'start_period': may,
                'bw_in': 7, 'bw_out': 7, 'last_ctr_in': 7,
                'last_ctr_out': 7, 'last_epoch': '0',
                'last_refreshed': refreshed}
        bandwidth_obj.BandwidthUsageList.record(context.new(), [late])
        assert usage(pair)[0][1] == counted


def test_passes_at_once_count_each_byte_once(manager, virt, pair):
    carry(virt, 1000)
    poll(manager)
    failed = []

    def work():
        try:
            for _ in range(10):
                poll(manager)
        except Exception as error:
            failed.append(error)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for counted in range(1001, 1400):
        carry(virt, counted)
    for thread in threads:
        thread.join()
    poll(manager)
    assert not failed
    assert usage(pair) == [(MAY, 399, 0)]


# -- the last look

@pytest.mark.parametrize('wanted', [
    power.STOP, power.REBOOT, power.REBOOT_HARD, build.DELETE],
    ids=lambda wanted: wanted.name)
def test_an_end_is_preceded_by_a_reading(manager, virt, pair, wanted):
    carry(virt, 1000)
    poll(manager)
    carry(virt, 1600, 60)
    operation.perform(manager, context.new(), wanted,
                      claimed(manager, wanted))
    assert usage(pair) == [(MAY, 600, 60)]


def test_after_it_a_new_start_counts_from_zero(manager, virt, pair):
    carry(virt, 1000)
    poll(manager)
    carry(virt, 1600)
    for wanted in (power.STOP, power.START):
        operation.perform(manager, context.new(), wanted,
                          claimed(manager, wanted))
    carry(virt, 1700)   # beyond the old counter
    poll(manager)
    assert usage(pair) == [(MAY, 2300, 0)]


def test_a_driver_that_cannot_count_does_not_hinder_the_end(
        manager, virt, pair):
    carry(virt, 1000)
    virt.fail_next('interface_counters', RuntimeError('on purpose'))
    found = operation.perform(
        manager, context.new(), power.STOP,
        claimed(manager, power.STOP)).instance
    assert (found.vm_state, found.fault) == ('stopped', None)


def test_a_database_that_takes_no_usage_does_not_hinder_the_end(
        manager, virt, pair, monkeypatch):
    carry(virt, 1000)
    poll(manager)
    carry(virt, 1600)

    def away(*args, **kwargs):
        raise exception.PrimaryUnavailable()
    with monkeypatch.context() as patch:
        patch.setattr(bandwidth_obj.BandwidthUsageList, 'record', away)
        found = operation.perform(
            manager, context.new(), build.DELETE,
            claimed(manager, build.DELETE)).instance
    assert (found.vm_state, found.fault) == ('deleted', None)
    poll(manager)
    assert usage(pair) == [(MAY, 600, 0)]


def test_an_end_does_not_wait_for_a_pass_that_hangs(
        manager, virt, pair, monkeypatch):
    monkeypatch.setattr(meter, 'WAIT', 0)
    carry(virt, 1000)
    poll(manager)
    carry(virt, 1600)
    with manager.meter._writing:
        found = operation.perform(
            manager, context.new(), power.STOP,
            claimed(manager, power.STOP)).instance
    assert found.vm_state == 'stopped'
    poll(manager)
    assert usage(pair) == [(MAY, 600, 0)]


def test_the_moment_of_a_row_is_the_readings(manager, virt, pair):
    carry(virt, 1000)
    poll(manager)
    [found] = bandwidth_obj.BandwidthUsageList.get_by_uuid(
        context.new(), UUID, 5)
    row = meter.as_row(found)
    assert isinstance(row, usage_counters.Row)
    assert row.last_refreshed == NOW * 1_000_000


# -- a real guest with a real network

planned = real.planned


@real.needs_veth
def test_each_byte_of_a_real_guest_is_counted_once(
        fresh, pair, clock, tmp_path, planned):
    driver = process.ProcessDriver(real.configured(
        tmp_path, guests_run_as_root=True))
    manager = managed(fresh, driver, clock)
    pair.sql(pair.primary, "UPDATE instances SET vm_state = 'building', "
             "power_state = 0, network = 'private', command = ?", real.ECHO)

    def perform(wanted):
        return operation.perform(manager, context.new(), wanted,
                                 claimed(manager, wanted)).instance

    def quiet():
        """Counters that only we make grow from now on."""
        path = pathlib.Path(f'/proc/sys/net/ipv6/conf/{planned[-1]}')
        if path.exists():
            (path / 'disable_ipv6').write_text('1')
        waiting.wait_for(lambda: driver.console_log(UUID, 10 ** 6).endswith(
            'up\n'), what='the guest up')
        return driver.interface_counters()[0]

    def echo(count):
        sent = driver.interface_counters()[0].tx_packets + count
        real.send_frames(planned[-1], count)
        waiting.wait_for(lambda: driver.interface_counters()[0].tx_packets
                         == sent, what='the frames sent back')

    try:
        assert perform(build.BUILD).vm_state == 'active'
        before = quiet()
        poll(manager)
        first = (MAY, before.rx_bytes, before.tx_bytes)
        assert usage(pair) == [first]
        echo(7)
        poll(manager)
        assert usage(pair) == [(MAY, first[1] + 700, first[2] + 700)]
        echo(5)
        perform(power.STOP)     # with a reading before it
        assert usage(pair) == [(MAY, first[1] + 1200, first[2] + 1200)]
        perform(power.START)
        again = waiting.wait_for(
            lambda: driver.console_log(UUID, 10 ** 6).count('up') == 2
            and quiet())
        poll(manager)
        assert usage(pair) == [(MAY, first[1] + 1200 + again.rx_bytes,
                                first[2] + 1200 + again.tx_bytes)]
    finally:
        perform(build.DELETE)
        driver.close()
    assert real.present(planned) == []
