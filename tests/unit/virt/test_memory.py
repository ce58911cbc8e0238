import uuid

import pytest

from computed import exception
from computed import states
from computed.virt import memory
from tests.support import driver_contract
from tests.support import waiting


class TestMemoryDriver(driver_contract.DriverContract):

    @pytest.fixture
    def driver(self):
        driver = memory.MemoryDriver(conf=None)
        driver.init_host(driver_contract.OWNER)
        yield driver
        driver.close()

    def test_a_driver_without_init_host_spawns_nothing(self):
        spec = self.spec()
        driver = memory.MemoryDriver(conf=None)
        with pytest.raises(exception.DriverNotReady):
            driver.spawn(driver_contract.claim_on(spec.uuid), spec)

    def test_only_the_next_call_fails_and_changes_nothing(self, driver):
        guest = self.spawned(driver)
        driver.fail_next('power_off', exception.DriverTimeout(
            timeout=5, operation='end it'))
        with pytest.raises(exception.DriverTimeout):
            driver.power_off(driver_contract.claim_on(guest), 0)
        assert self.state(driver, guest) == states.RUNNING
        driver.power_off(driver_contract.claim_on(guest), 0)
        assert self.state(driver, guest) == states.SHUTDOWN

    def test_a_snapshot_may_be_incomplete(self, driver):
        guest = self.spawned(driver)
        driver.complete = False
        assert driver.list_instances().complete is False
        assert driver.get_instance(guest).uuid == guest

    def test_a_vanished_guest_is_absent(self, driver):
        guest = self.spawned(driver)
        driver.vanish(guest)
        assert guest not in driver.list_instances().instances

    def test_a_foreign_guest_is_listed_and_left_alone(self, driver):
        guest = str(uuid.uuid4())
        driver.add_foreign(guest, driver_contract.OTHER_OWNER)
        info = driver.list_instances().instances[guest]
        assert info.owner == driver_contract.OTHER_OWNER
        with pytest.raises(exception.ForeignGuest):
            driver.destroy(driver_contract.claim_on(guest))

    def test_a_state_set_from_outside_sends_an_event_on_demand(self, driver):
        guest, events = self.spawned(driver), []
        driver.subscribe(events.append)
        driver.set_power_state(guest, states.CRASHED, exit_code=-9,
                               event=False)
        assert events == []
        info = driver.get_instance(guest)
        assert (info.power_state, info.exit_code) == (states.CRASHED, -9)
        driver.set_power_state(guest, states.RUNNING)
        waiting.wait_for(lambda: events == [guest])

    def test_counters_are_as_scripted_until_the_guest_starts_again(
            self, driver):
        guest, other = self.spawned(driver), self.spawned(driver)
        driver.set_counters(guest, 'aa:00', 5, 7)
        driver.set_counters(other, 'bb:00', 1, 1)
        [before] = driver.interface_counters([guest])
        assert (before.mac_address, before.rx_bytes, before.tx_bytes) == (
            'aa:00', 5, 7)
        assert len(driver.interface_counters()) == 2
        claim = driver_contract.claim_on(guest)
        driver.power_off(claim, 0)
        assert driver.interface_counters([guest]) == []
        driver.power_on(claim)
        [after] = driver.interface_counters([guest])
        assert (after.rx_bytes, after.tx_bytes) == (0, 0)
        assert after.epoch != before.epoch

    def test_calls_are_recorded_in_order(self, driver):
        guest = self.spawned(driver)
        driver.calls.clear()
        driver.pause(driver_contract.claim_on(guest))
        driver.get_instance(guest)
        assert driver.calls == ['pause', 'get_instance']
