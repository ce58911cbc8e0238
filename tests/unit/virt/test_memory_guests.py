import dataclasses

import pytest

from computed import states
from computed.virt import driver
from computed.virt import memory
from computed.virt import memory_guests
from tests.support import driver_contract

UUID = 'a'
RUNNING = driver.InstanceInfo(
    uuid=UUID, power_state=states.RUNNING, owner=driver_contract.OWNER)
STOPPED = dataclasses.replace(RUNNING, power_state=states.SHUTDOWN)
PAUSED = dataclasses.replace(RUNNING, power_state=states.POWER_PAUSED)


@pytest.fixture
def guests():
    found = memory_guests.Guests()
    found.set_counters(driver.InterfaceCounters(
        uuid=UUID, device='eth0', mac_address='aa:00', rx_bytes=5,
        tx_bytes=7, rx_packets=None, tx_packets=None, epoch=''))
    return found


@pytest.mark.parametrize('before, after, changed', [
    (None, RUNNING, True), (None, STOPPED, False),
    (RUNNING, STOPPED, True), (STOPPED, RUNNING, True),
    (RUNNING, PAUSED, False), (STOPPED, STOPPED, False)])
def test_only_a_start_or_an_end_counts_as_one(
        guests, before, after, changed):
    if before is not None:
        guests.put(before)
    assert guests.put(after) is changed
    assert guests.infos == {UUID: after}


def test_only_guests_that_are_on_have_counters(guests):
    assert guests.counters() == []
    guests.put(RUNNING)
    assert [found.rx_bytes for found in guests.counters()] == [5]
    guests.put(STOPPED)
    assert guests.counters() == []


@pytest.mark.parametrize('end', ['put', 'remove'])
def test_a_new_start_begins_another_epoch_at_zero(guests, end):
    guests.put(RUNNING)
    [before] = guests.counters()
    if end == 'put':
        guests.put(STOPPED)
    else:
        guests.remove(UUID)
    guests.put(RUNNING)
    [after] = guests.counters()
    assert after.epoch != before.epoch
    assert (after.rx_bytes, after.tx_bytes) == (0, 0)


def test_guests_outlive_their_driver_and_its_faults_do_not():
    guests = memory_guests.Guests()
    first = memory.MemoryDriver(None, guests)
    first.init_host(driver_contract.OWNER)
    uuid = driver_contract.DriverContract().spawned(first)
    first.fail_next('list_instances', RuntimeError('on purpose'))
    first.close()
    second = memory.MemoryDriver(None, guests)
    second.init_host(driver_contract.OWNER)
    assert second.list_instances().instances == {uuid: guests.infos[uuid]}
    second.power_off(driver_contract.claim_on(uuid), 0)
    assert guests.infos[uuid].power_state == states.SHUTDOWN
    assert memory.MemoryDriver(None).list_instances().instances == {}
