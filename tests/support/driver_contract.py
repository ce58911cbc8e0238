"""The tests that every driver must pass, as a class to inherit from."""

import dataclasses
import types
import uuid

import pytest

from computed import exception
from computed import states
from computed.virt import claim as virt_claim
from computed.virt import driver
from tests.support import waiting

OWNER = virt_claim.Owner(database_id='database-1', host='host-1')
OTHER_OWNER = virt_claim.Owner(database_id='database-2', host='host-1')

# All changes of a guest that exists, by name.
CHANGES = {
    'destroy': lambda driver, claim: driver.destroy(claim),
    'delete_instance_files':
        lambda driver, claim: driver.delete_instance_files(claim),
    'power_on': lambda driver, claim: driver.power_on(claim),
    'power_off': lambda driver, claim: driver.power_off(claim, 0),
    'reboot': lambda driver, claim: driver.reboot(claim, True, 0),
    'pause': lambda driver, claim: driver.pause(claim),
    'unpause': lambda driver, claim: driver.unpause(claim),
}
changes = pytest.mark.parametrize(
    'change', CHANGES.values(), ids=list(CHANGES))


def volume_of(path):
    """Return a new volume at a path."""
    return driver.Volume(str(uuid.uuid4()), str(uuid.uuid4()), str(path))


def claim_on(instance_uuid, owner=OWNER):
    """Return a claim as the primary would grant it."""
    return virt_claim.Claim(
        claim_id=str(uuid.uuid4()), operation='test', owner=owner,
        instance=types.SimpleNamespace(uuid=instance_uuid))


def ended_claim_on(instance_uuid):
    """Return a claim that was settled already."""
    claim = claim_on(instance_uuid)
    claim.live = False
    return claim


class DriverContract:
    """Inherit from this class and define a fixture ``driver``.

    The fixture returns a driver without guests, after
    ``init_host(driver_contract.OWNER)``, and closes it.
    """

    #: a command that a guest can run and that does not end by itself
    command = 'sleep 1000'

    def spec(self, **changed):
        """Return a guest to spawn; ``changed`` replaces fields."""
        return dataclasses.replace(driver.InstanceSpec(
            uuid=str(uuid.uuid4()), name='guest', command=self.command,
            vcpus=1, memory_mb=0, disk_gb=1, network='host'), **changed)

    def spawned(self, driver, **changed):
        """Spawn a guest and return its uuid."""
        spec = self.spec(**changed)
        driver.spawn(claim_on(spec.uuid), spec)
        return spec.uuid

    def state(self, driver, guest):
        return driver.get_instance(guest).power_state

    def test_a_new_guest_runs_and_carries_its_owner(self, driver):
        guest = self.spawned(driver)
        info = driver.get_instance(guest)
        assert info.uuid == guest
        assert info.power_state == states.RUNNING
        assert info.owner == OWNER
        assert info.exit_code is None

    def test_all_guests_are_listed_as_they_are(self, driver):
        running, stopped = self.spawned(driver), self.spawned(driver)
        driver.power_off(claim_on(stopped), 0)
        snapshot = driver.list_instances()
        assert snapshot.complete
        assert {guest: info.power_state for guest, info
                in snapshot.instances.items()} == {
                    running: states.RUNNING, stopped: states.SHUTDOWN}
        assert snapshot.instances[running] == driver.get_instance(running)

    def test_a_host_without_guests_has_a_complete_empty_list(
            self, driver):
        snapshot = driver.list_instances()
        assert snapshot.complete
        assert snapshot.instances == {}

    def test_a_second_spawn_is_refused_and_leaves_the_first_alone(
            self, driver):
        spec = self.spec()
        driver.spawn(claim_on(spec.uuid), spec)
        before = driver.get_instance(spec.uuid)
        with pytest.raises(exception.DriverError, match='exists already'):
            driver.spawn(claim_on(spec.uuid), spec)
        assert driver.get_instance(spec.uuid) == before

    def test_a_claim_on_one_guest_does_not_spawn_another(self, driver):
        spec = self.spec()
        with pytest.raises(exception.DriverError, match='claim is for'):
            driver.spawn(claim_on(str(uuid.uuid4())), spec)
        assert driver.list_instances().instances == {}

    def test_an_ended_claim_spawns_nothing(self, driver):
        spec = self.spec()
        with pytest.raises(exception.ClaimNotLive):
            driver.spawn(ended_claim_on(spec.uuid), spec)
        assert driver.list_instances().instances == {}

    def test_a_claim_of_another_database_spawns_nothing(self, driver):
        spec = self.spec()
        with pytest.raises(exception.ForeignGuest):
            driver.spawn(claim_on(spec.uuid, OTHER_OWNER), spec)
        assert driver.list_instances().instances == {}

    @changes
    def test_an_ended_claim_changes_nothing(self, driver, change):
        guest = self.spawned(driver)
        before = driver.get_instance(guest)
        with pytest.raises(exception.ClaimNotLive):
            change(driver, ended_claim_on(guest))
        assert driver.get_instance(guest) == before

    @changes
    def test_a_guest_of_another_database_is_left_alone(self, driver, change):
        guest = self.spawned(driver)
        before = driver.get_instance(guest)
        with pytest.raises(exception.ForeignGuest, match='is not touched'):
            change(driver, claim_on(guest, OTHER_OWNER))
        assert driver.get_instance(guest) == before

    @changes
    def test_only_removing_an_absent_guest_succeeds(self, driver, change):
        claim = claim_on(str(uuid.uuid4()))
        if change in (CHANGES['destroy'],
                      CHANGES['delete_instance_files']):
            change(driver, claim)
            return
        with pytest.raises(exception.GuestNotFound):
            change(driver, claim)

    def test_an_absent_guest_is_not_found(self, driver):
        with pytest.raises(exception.GuestNotFound):
            driver.get_instance(str(uuid.uuid4()))
        with pytest.raises(exception.GuestNotFound):
            driver.console_log(str(uuid.uuid4()), 100)

    @pytest.mark.parametrize('timeout_s', [0, 10])
    def test_power_off_and_on(self, driver, timeout_s):
        guest = self.spawned(driver)
        for _ in range(2):      # the second call finds it done
            driver.power_off(claim_on(guest), timeout_s)
            assert self.state(driver, guest) == states.SHUTDOWN
        for _ in range(2):
            driver.power_on(claim_on(guest))
            assert self.state(driver, guest) == states.RUNNING

    def test_pause_and_unpause(self, driver):
        guest = self.spawned(driver)
        for _ in range(2):
            driver.pause(claim_on(guest))
            assert self.state(driver, guest) == states.POWER_PAUSED
        for _ in range(2):
            driver.unpause(claim_on(guest))
            assert self.state(driver, guest) == states.RUNNING

    def test_a_paused_guest_can_be_powered_off(self, driver):
        guest = self.spawned(driver)
        driver.pause(claim_on(guest))
        driver.power_off(claim_on(guest), 10)
        assert self.state(driver, guest) == states.SHUTDOWN

    @pytest.mark.parametrize('change', ['pause', 'unpause'])
    def test_a_stopped_guest_cannot_be_paused(self, driver, change):
        guest = self.spawned(driver)
        driver.power_off(claim_on(guest), 0)
        with pytest.raises(exception.DriverError, match='does not run'):
            CHANGES[change](driver, claim_on(guest))
        assert self.state(driver, guest) == states.SHUTDOWN

    @pytest.mark.parametrize('hard', [True, False])
    def test_a_guest_runs_after_a_reboot_from_any_state(self, driver, hard):
        guest = self.spawned(driver)
        driver.reboot(claim_on(guest), hard, 10)
        assert self.state(driver, guest) == states.RUNNING
        driver.pause(claim_on(guest))
        driver.reboot(claim_on(guest), hard, 10)
        assert self.state(driver, guest) == states.RUNNING
        driver.power_off(claim_on(guest), 0)
        driver.reboot(claim_on(guest), hard, 10)
        assert self.state(driver, guest) == states.RUNNING

    def test_a_destroyed_guest_is_absent_and_can_be_made_again(self, driver):
        spec = self.spec()
        driver.spawn(claim_on(spec.uuid), spec)
        driver.destroy(claim_on(spec.uuid))
        assert driver.list_instances().instances == {}
        with pytest.raises(exception.GuestNotFound):
            driver.get_instance(spec.uuid)
        driver.spawn(claim_on(spec.uuid), spec)
        assert self.state(driver, spec.uuid) == states.RUNNING

    def test_what_removes_files_removes_no_guest(self, driver):
        guest = self.spawned(driver)
        with pytest.raises(exception.DriverError, match='is there'):
            driver.delete_instance_files(claim_on(guest))
        assert self.state(driver, guest) == states.RUNNING
        assert driver.list_instance_files() == {}
        driver.destroy(claim_on(guest))
        driver.delete_instance_files(claim_on(guest))
        assert driver.list_instance_files() == {}

    def test_the_console_is_text_of_at_most_the_wanted_length(self, driver):
        guest = self.spawned(driver)
        assert isinstance(driver.console_log(guest, 1000), str)
        assert len(driver.console_log(guest, 3)) <= 3
        assert driver.console_log(guest, 0) == ''

    def test_a_subscriber_gets_events_of_starts_and_ends(self, driver):
        events = []
        driver.subscribe(events.append)
        guest = self.spawned(driver)
        waiting.wait_for(lambda: guest in events)
        events.clear()
        driver.power_off(claim_on(guest), 0)
        waiting.wait_for(lambda: guest in events)

    def test_a_subscriber_that_raises_gets_the_next_event_too(self, driver):
        events = []

        def fail(guest):
            events.append(guest)
            raise RuntimeError('on purpose')

        driver.subscribe(fail)
        for guest in (self.spawned(driver), self.spawned(driver)):
            waiting.wait_for(lambda guest=guest: guest in events)

    def test_no_event_comes_after_the_end_of_the_subscription(self, driver):
        before, after = [], []
        driver.subscribe(before.append)
        driver.subscribe(None)
        driver.power_off(claim_on(self.spawned(driver)), 0)
        # Events come in order: a later one shows that no older one is due.
        driver.subscribe(after.append)
        guest = self.spawned(driver)
        waiting.wait_for(lambda: guest in after)
        assert before == []

    def test_bytes_are_counted_or_the_capability_is_missing(self, driver):
        guest = self.spawned(driver)
        if 'interface_counters' not in driver.capabilities:
            with pytest.raises(exception.NotSupported):
                driver.interface_counters()
            return
        # On the host's network a guest has no interface of its own.
        assert driver.interface_counters() == []
        assert driver.interface_counters([guest, str(uuid.uuid4())]) == []

    def volume(self, folder, name='volume'):
        """Make a file and return it as a volume."""
        path = (folder / name).resolve()
        path.write_bytes(b'0' * 512)
        return volume_of(path)

    @pytest.mark.parametrize('running', [True, False])
    def test_a_volume_is_attached_and_detached_repeatedly(
            self, driver, tmp_path_factory, running):
        guest, other = self.spawned(driver), self.spawned(driver)
        if not running:
            driver.power_off(claim_on(guest), 0)
        volume = self.volume(tmp_path_factory.mktemp('volumes'))
        if 'volumes' not in driver.capabilities:
            with pytest.raises(exception.NotSupported):
                driver.attach_volume(claim_on(guest), volume)
            with pytest.raises(exception.NotSupported):
                driver.detach_volume(claim_on(guest), volume.volume_id)
            return
        for _ in range(2):
            driver.attach_volume(claim_on(guest), volume)
        assert driver.list_volumes(guest) == [volume]
        with pytest.raises(exception.VolumeUnusable, match=guest):
            driver.attach_volume(claim_on(other), volume_of(volume.path))
        for _ in range(2):
            driver.detach_volume(claim_on(guest), volume.volume_id)
        assert driver.list_volumes(guest) == []
        driver.attach_volume(claim_on(other), volume)
        driver.destroy(claim_on(other))
        driver.attach_volume(claim_on(guest), volume)
        driver.reboot(claim_on(guest), True, 0)
        driver.detach_volume(claim_on(guest), volume.volume_id)

    def test_only_a_live_claim_of_the_owner_changes_volumes(
            self, driver, tmp_path_factory):
        if 'volumes' not in driver.capabilities:
            return
        guest = self.spawned(driver)
        volume = self.volume(tmp_path_factory.mktemp('volumes'))
        for error, claim in (
                (exception.ClaimNotLive, ended_claim_on(guest)),
                (exception.ForeignGuest, claim_on(guest, OTHER_OWNER)),
                (exception.GuestNotFound, claim_on(str(uuid.uuid4())))):
            with pytest.raises(error):
                driver.attach_volume(claim, volume)
            with pytest.raises(error):
                driver.detach_volume(claim, volume.volume_id)

    def test_volumes_are_counted_or_the_capability_is_missing(self, driver):
        guest = self.spawned(driver)
        if 'block_counters' not in driver.capabilities:
            with pytest.raises(exception.NotSupported):
                driver.block_counters()
            return
        assert driver.block_counters() == []
        assert driver.block_counters([guest, str(uuid.uuid4())]) == []

    def test_the_host_has_resources(self, driver):
        found = driver.host_resources()
        assert found.vcpus >= 1
        assert 0 < found.memory_mb_available <= found.memory_mb
        assert 0 <= found.disk_gb_free <= found.disk_gb
        assert found.hypervisor_type
        assert isinstance(found.hypervisor_version, str)
