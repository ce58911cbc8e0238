"""Test damaged folders, and spawns that fail."""

import contextlib
import os
import uuid

import pytest

from computed import exception
from computed import states
from computed.virt import process
from tests.support import driver_contract
from tests.support import process_guests as real

claim_on = driver_contract.claim_on

# -- damage

@pytest.mark.parametrize('uuid', ['', '.', '..', '../x', '/tmp/x', 'x'])
def test_what_is_no_uuid_leads_to_no_folder(guests, root, uuid):
    kept = root.parent / 'x'
    for folder in (kept, root.parent / 'x.deleting'):
        folder.mkdir()
    for ask in (guests.driver.get_instance,
                lambda uuid: guests.driver.console_log(uuid, 10),
                lambda uuid: guests.driver.destroy(claim_on(uuid))):
        with pytest.raises(exception.GuestNotFound):
            ask(uuid)
    assert guests.driver.interface_counters([uuid]) == []
    assert kept.exists() and (root.parent / 'x.deleting').exists()


@pytest.mark.parametrize('name', ['spec.json', 'run.json'])
@pytest.mark.parametrize('content', ['', '{', '[]', '{"pid": "x"}', '\0'])
def test_a_damaged_folder_affects_no_other(guests, root, name, content):
    damaged, whole = guests.spawn(), guests.spawn()
    kept = (root / damaged / name).read_text()
    (root / damaged / name).write_text(content)
    snapshot = guests.driver.list_instances()
    assert snapshot.complete
    assert snapshot.instances[whole].power_state == states.RUNNING
    assert snapshot.instances[damaged].power_state == states.NOSTATE
    assert snapshot.instances[damaged].reason == f'{name} is damaged'
    (root / damaged / name).write_text(kept)


@pytest.mark.parametrize('name', ['run.json', 'console.log'])
def test_a_folder_in_the_place_of_a_file_costs_no_descriptor(
        guests, root, name):
    guest = guests.spawn()
    path = root / guest / name
    kept = path.with_name('kept')
    if path.exists():       # a guest that prints nothing has no console
        path.rename(kept)
    path.mkdir()
    try:
        ask = {'run.json': guests.driver.list_instances,
               'console.log': lambda: guests.driver.console_log(guest, 10)}
        open_now = []
        for _ in range(3):
            with contextlib.suppress(exception.ComputedError, OSError):
                ask[name]()
            open_now.append(len(os.listdir('/proc/self/fd')))
        assert len(set(open_now)) == 1, open_now
    finally:
        path.rmdir()
        if kept.exists():
            kept.rename(path)


def test_a_guest_whose_owner_is_unreadable_is_left_alone(guests, root):
    guest = guests.spawn()
    spec = root / guest / 'spec.json'
    kept = spec.read_text()
    spec.write_text('{')
    with pytest.raises(exception.ForeignGuest, match='nobody'):
        guests.driver.destroy(claim_on(guest))
    spec.write_text(kept)
    assert guests.info(guest).power_state == states.RUNNING


@pytest.mark.parametrize('change', ['power_off', 'destroy'])
def test_a_guest_is_ended_without_its_run_file(guests, root, change):
    guest = real.spawn_tree(guests, root)
    (root / guest / 'run.json').write_text('{')
    driver_contract.CHANGES[change](guests.driver, claim_on(guest))
    assert real.processes_of(root / guest) == []
    if change == 'power_off':
        assert guests.info(guest).power_state == states.SHUTDOWN


def test_other_files_in_the_folder_are_no_guests(
        guests, root, tmp_path):
    guest = guests.spawn()
    (root / 'lost+found').mkdir()
    (root / str(uuid.uuid4())).write_text('')
    link = str(uuid.uuid4())
    (root / link).symlink_to(root / guest)
    assert set(guests.driver.list_instances().instances) == {guest}
    for name in (link, 'lost+found', f'../instances/{guest}'):
        with pytest.raises(exception.GuestNotFound):
            guests.driver.get_instance(name)


def test_without_its_directory_no_guest_counts_as_absent(
        guests, root, tmp_path):
    root.rename(tmp_path / 'away')
    snapshot = guests.driver.list_instances()
    (tmp_path / 'away').rename(root)
    assert snapshot.complete is False


def test_a_link_is_never_read_for_a_console(guests, root):
    guest = guests.spawn('echo up')
    guests.wait_for_state(guest, states.SHUTDOWN)
    (root / guest / 'console.log').unlink()
    (root / guest / 'console.log').symlink_to('/etc/passwd')
    with pytest.raises(exception.DriverError):
        guests.driver.console_log(guest, 1000)


# -- a failed spawn leaves nothing

def test_a_guest_that_cannot_be_executed_leaves_nothing(guests, root):
    with pytest.raises(exception.DriverError, match='null') as caught:
        guests.spawn('echo \0')
    assert '\n' not in str(caught.value)
    assert real.left_of(root) == []
    assert real.processes_of(root) == []


def test_a_guest_whose_folder_cannot_be_made_says_why(
        guests, root, tmp_path):
    root.rename(tmp_path / 'away')
    root.write_text('')
    with pytest.raises(exception.DriverError, match='Not a directory'):
        guests.spawn()
    root.unlink()
    (tmp_path / 'away').rename(root)


def test_a_host_without_its_directory_is_not_ready(tmp_path):
    (tmp_path / 'instances').write_text('')
    driver = process.ProcessDriver(real.configured(tmp_path))
    with pytest.raises(exception.DriverNotReady, match='instances'):
        driver.init_host(driver_contract.OWNER)


def test_a_driver_that_was_not_started_spawns_nothing(tmp_path):
    spec = driver_contract.DriverContract().spec()
    driver = process.ProcessDriver(real.configured(tmp_path))
    with pytest.raises(exception.DriverNotReady):
        driver.spawn(claim_on(spec.uuid), spec)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_network_is_refused(guests, root):
    with pytest.raises(exception.DriverError, match='neither host nor'):
        guests.spawn(network='bridge')
    assert real.left_of(root) == []
