"""_poll_volume_usage from end to end, with a fake hypervisor.

Whatever lies between a list, a reading and a write, what a guest has read and
written is counted once.
"""

import json
import threading

import pytest

from computed import context
from computed import exception
from computed import states
from computed.objects import volume as volume_obj
from computed.objects import volume_usage as usage_obj
from computed.operations import build
from computed.operations import operation
from computed.operations import power
from computed.usage import volumes as volume_meter
from computed.virt import driver
from tests.functional import test_volumes
from tests.support import fixtures

UUID, HOST = fixtures.UUID, fixtures.HOST
manage = test_volumes.manage
done, made = test_volumes.done, test_volumes.made


class Clock:
    now = 1000

    def __call__(self):
        self.now += 1
        return self.now


@pytest.fixture
def manager(fresh, virt, pair):
    found = fresh.manager(virt)
    virt.add_foreign(UUID, found.claims.owner)
    found.volume_meter = volume_meter.VolumeMeter(found, Clock())
    return found


@pytest.fixture
def volume(manager, pair):
    """A volume that the instance has; the replica knows it too."""
    found = made()
    done(manager, 'attach', found)
    replicate(pair)
    return found


def replicate(pair):
    """Give the replica what the primary knows of volumes."""
    for table in ('volumes', 'block_device_mapping', 'volume_usage'):
        pair.sql(pair.replica, f'DELETE FROM {table}')
        for row in pair.sql(pair.primary, f'SELECT * FROM {table}'):
            pair.sql(pair.replica, f'INSERT INTO {table} VALUES '
                     f'({", ".join("?" * len(row))})', *row)


def poll(manager):
    return manager._poll_volume_usage(context.new())


def use(virt, volume, count=100, uuid=UUID):
    virt.use_volume(uuid, volume.uuid, rd_req=1, rd_bytes=count, wr_req=2,
                    wr_bytes=2 * count)


def used(pair):
    """``[(rd_req, rd_bytes, wr_req, wr_bytes)]`` of all rows."""
    return pair.sql(pair.primary, 'SELECT rd_req, rd_bytes, wr_req, wr_bytes '
                    'FROM volume_usage ORDER BY volume_id')


def perform(manager, wanted):
    return operation.perform(manager, context.new(), wanted,
                             operation.claimed(manager, context.new(), wanted,
                                               UUID))


# -- figures

def test_1000_volumes_are_one_read_and_one_write(manager, virt, pair, calls):
    uuids = [f'00000000-0000-4000-8000-{number:012}' for number in range(100)]
    for uuid in uuids:
        pair.add_instance(pair.primary, uuid=uuid)
        virt.add_foreign(uuid, manager.claims.owner)
    for number in range(1000):
        volume = f'00000000-0000-4000-9000-{number:012}'
        for path in (pair.primary, pair.replica):
            pair.sql(path, 'INSERT INTO block_device_mapping VALUES '
                     "(?, ?, ?, 'attached', '2026-01-01 00:00:00')",
                     volume, volume, uuids[number % 100])
        virt._guests.attach(uuids[number % 100], driver.Volume(
            volume, volume, f'/srv/{number}'))
        virt.use_volume(uuids[number % 100], volume, rd_bytes=number)
    for uuid in uuids:
        pair.add_instance(pair.replica, uuid=uuid)
    calls.clear()
    assert poll(manager).recorded == 1000
    assert calls == ['get_by_host', 'record']
    assert pair.sql(pair.primary, 'SELECT COUNT(*), SUM(rd_bytes) FROM '
                    'volume_usage') == [(1000, 999 * 500)]


def test_a_driver_that_counts_nothing_costs_nothing(
        manager, virt, volume, calls):
    virt.capabilities = frozenset(['volumes'])
    calls.clear()
    virt.calls.clear()
    assert 'counts no bytes' in poll(manager).note
    perform(manager, power.STOP)
    assert 'block_counters' not in virt.calls
    assert not {'get_by_host', 'get_by_instance', 'record'} & {*calls}


def test_without_volumes_nothing_is_written(manager, virt, calls):
    assert poll(manager).recorded == 0
    assert calls == ['get_by_host']
    perform(manager, power.STOP)
    assert 'record' not in calls and 'get_by_instance' not in calls


# -- counted once

def test_each_pass_adds_what_is_new(manager, virt, pair, volume):
    for total in (100, 200, 300):
        use(virt, volume)
        poll(manager)
        replicate(pair)
        assert used(pair) == [(total // 100, total, total // 50, 2 * total)]


@pytest.mark.parametrize('act', [power.STOP, power.REBOOT, build.DELETE])
def test_the_end_of_a_guest_counts_its_last_bytes(
        manager, virt, pair, volume, act):
    use(virt, volume)
    poll(manager)
    use(virt, volume)
    perform(manager, act)
    assert used(pair) == [(2, 200, 4, 400)]
    if act is not build.DELETE:
        virt.set_power_state(UUID, states.RUNNING)
        use(virt, volume, 500)      # more than before the reset
        replicate(pair)
        poll(manager)
        assert used(pair) == [(3, 700, 6, 1400)]


def test_detached_and_the_mapping_is_still_on_the_replica(
        manager, virt, pair, volume):
    """Variant 1: the replica lags."""
    use(virt, volume)
    poll(manager)
    replicate(pair)
    use(virt, volume)
    done(manager, 'detach', volume)
    poll(manager)       # its list has the volume
    assert used(pair) == [(2, 200, 4, 400)]
    # Attached again: the list still shows the first attachment and its base.
    done(manager, 'attach', volume)
    use(virt, volume, 7)
    poll(manager)
    assert used(pair) == [(2, 200, 4, 400)]
    replicate(pair)
    poll(manager)
    assert used(pair) == [(3, 207, 6, 414)]


@pytest.mark.parametrize('again', [False, True])
def test_detached_between_the_list_and_the_reading(
        manager, virt, pair, volume, monkeypatch, again):
    """Variant 2: no replica is involved."""
    use(virt, volume)
    real = manager.volume_meter._look

    def late(*args):
        monkeypatch.undo()
        done(manager, 'detach', volume)
        if again:
            done(manager, 'attach', volume)
            use(virt, volume, 7)
        return real(*args)
    monkeypatch.setattr(manager.volume_meter, '_look', late)
    poll(manager)
    assert used(pair) == [(1, 100, 2, 200)]
    replicate(pair)
    poll(manager)
    assert used(pair) == [(2, 107, 4, 214) if again else (1, 100, 2, 200)]


@pytest.mark.parametrize('between', ['detach', 'stop'])
def test_ended_between_the_reading_and_the_write(
        manager, virt, pair, volume, monkeypatch, between):
    """Variant 3: the write of the pass must lose."""
    use(virt, volume)
    real = manager.volume_meter._rows

    def late(*args):
        rows = real(*args)
        monkeypatch.undo()
        use(virt, volume)
        if between == 'detach':
            done(manager, 'detach', volume)
        else:
            perform(manager, power.STOP)
        return rows
    monkeypatch.setattr(manager.volume_meter, '_rows', late)
    poll(manager)
    assert used(pair) == [(2, 200, 4, 400)]


def test_a_pass_between_the_last_reading_and_its_write(
        manager, virt, pair, volume, monkeypatch):
    """The last reading is repeated, with new counters."""
    use(virt, volume)
    real = usage_obj.VolumeUsageList.record
    turns = []

    def record(ctxt, rows):
        if not turns:
            turns.append(1)
            use(virt, volume)
            poll(manager)
        real(ctxt, rows)
    monkeypatch.setattr(usage_obj.VolumeUsageList, 'record',
                        staticmethod(record))
    done(manager, 'detach', volume)
    assert turns and used(pair) == [(2, 200, 4, 400)]


def test_two_passes_at_once_count_once(manager, virt, pair, volume):
    use(virt, volume)
    threads = [threading.Thread(target=poll, args=[manager])
               for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert used(pair) == [(1, 100, 2, 200)]


# -- what cannot be counted

def test_a_guest_that_does_not_answer_hides_no_other(
        manager, virt, pair, volume):
    use(virt, volume)
    virt.fail_next('block_counters', exception.DriverError(reason='hung'))
    report = poll(manager)
    assert (report.recorded, report.failed) == (0, 1)
    assert 'did not answer' in report.note
    assert poll(manager).recorded == 1
    assert used(pair) == [(1, 100, 2, 200)]


def test_unknown_counters_are_no_numbers(manager, virt, pair, volume):
    use(virt, volume)
    virt.use_volume(UUID, volume.uuid, wr_bytes=None)
    assert (poll(manager).recorded, poll(manager).refused) == (0, 1)
    assert used(pair) == []


def test_a_last_reading_that_fails_ends_the_guest_all_the_same(
        manager, virt, pair, volume):
    virt.fail_next('block_counters', exception.DriverError(reason='hung'))
    assert perform(manager, power.STOP).fault is None


def away(monkeypatch, *answers):
    """The primary writes no usage, as long as there are ``answers``."""
    real, answers = usage_obj.VolumeUsageList.record, list(answers)

    def record(ctxt, rows):
        if not answers:
            return real(ctxt, rows)
        if answers.pop(0) == 'late':
            real(ctxt, rows)
        raise exception.PrimaryUnavailable()
    monkeypatch.setattr(usage_obj.VolumeUsageList, 'record',
                        staticmethod(record))


@pytest.mark.parametrize('answer', ['never', 'late'])
@pytest.mark.parametrize('act', [power.STOP, build.DELETE])
def test_a_last_reading_that_cannot_be_written_follows(
        manager, virt, pair, volume, monkeypatch, act, answer):
    """Also if it was written, and the answer was lost."""
    use(virt, volume)
    poll(manager)
    use(virt, volume)
    away(monkeypatch, answer)
    perform(manager, act)
    for _ in range(2):
        poll(manager)
        assert used(pair) == [(2, 200, 4, 400)]


def test_it_follows_with_the_next_end_of_any_guest(
        manager, virt, pair, volume, monkeypatch):
    """The task is off by default."""
    use(virt, volume)
    away(monkeypatch, 'never', 'never')
    done(manager, 'detach', volume)
    # It still cannot be written, and is in nobody's way.
    assert perform(manager, power.STOP).fault is None
    assert used(pair) == []
    assert perform(manager, power.START).fault is None
    assert perform(manager, power.STOP).fault is None
    assert used(pair) == [(1, 100, 2, 200)]


def test_a_newer_row_has_all_of_a_last_reading(
        manager, virt, pair, volume, monkeypatch):
    """The act failed, and the guest lives on: nothing counts twice."""
    use(virt, volume)
    claim = operation.claimed(manager, context.new(), power.STOP, UUID)
    away(monkeypatch, 'never')
    manager.volume_meter.last_look(claim)
    left = list(manager.volume_meter._left)
    assert left
    use(virt, volume)
    for again in ([], left):
        poll(manager)
        replicate(pair)
        poll(manager)
        assert used(pair) == [(2, 200, 4, 400)]
        manager.volume_meter._left += again
    poll(manager)
    assert used(pair) == [(2, 200, 4, 400)]
    assert manager.volume_meter._left == []


def test_usage_outlives_the_volume_and_is_shown(manager, virt, pair, volume):
    use(virt, volume)
    done(manager, 'detach', volume)
    volume_obj.Volume.delete(context.new(), volume.uuid, HOST)
    status, said = manage(pair, 'instance', 'volume-usage', UUID, '--strict',
                          '-f', 'json')
    assert status == 0, said
    [row] = json.loads(said)
    assert (row['volume_id'], row['rd_bytes'], row['wr_bytes']) == (
        volume.uuid, 100, 200)
