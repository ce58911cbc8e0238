"""Test that no other process is taken for a guest."""

import dataclasses
import errno
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import uuid

import psutil
import pytest

from computed import exception
from computed import states
from computed.virt import process
from computed.virt.process import proc
from tests.support import driver_contract
from tests.support import process_guests as real
from tests.support import waiting

claim_on = driver_contract.claim_on

# -- identity

@pytest.mark.parametrize('change', ['power_off', 'destroy', 'power_on'])
def test_a_process_that_got_the_pid_of_a_guest_is_not_touched(
        guests, stranger, change):
    guest = guests.spawn()
    guests.driver.power_off(claim_on(guest), 0)
    guests.replace_run(guest, pid=stranger.pid, shim_pid=stranger.pid)
    assert guests.info(guest).power_state == states.SHUTDOWN
    driver_contract.CHANGES[change](guests.driver, claim_on(guest))
    assert stranger.poll() is None
    assert real.state_of(stranger.pid) == psutil.STATUS_SLEEPING


def test_a_pid_that_changed_hands_since_the_look_gets_no_signal(stranger):
    found = proc.stat(stranger.pid).process
    former = dataclasses.replace(found, start_time=found.start_time - 1)
    assert not proc.send(former, signal.SIGKILL)
    assert stranger.poll() is None
    assert proc.send(found, signal.SIGKILL)
    assert stranger.wait(60) == -signal.SIGKILL


def test_the_same_pid_and_start_time_in_another_boot_is_another_process(
        guests, stranger):
    guest = guests.spawn()
    guests.driver.power_off(claim_on(guest), 0)
    fields = pathlib.Path(f'/proc/{stranger.pid}/stat').read_text().split()
    guests.replace_run(
        guest, boot_id='another', pid=stranger.pid, shim_pid=stranger.pid,
        start_time=int(fields[21]), shim_start_time=int(fields[21]))
    info = guests.info(guest)
    assert info.power_state == states.SHUTDOWN
    assert info.reason == 'host was restarted'
    guests.driver.power_off(claim_on(guest), 0)
    guests.driver.destroy(claim_on(guest))
    assert stranger.poll() is None


def test_guests_with_one_uuid_in_two_folders_are_two(guests, tmp_path):
    spec = driver_contract.DriverContract().spec()
    other = process.ProcessDriver(real.configured(tmp_path / 'other'))
    other.init_host(driver_contract.OWNER)
    for driver in (guests.driver, other):
        driver.spawn(claim_on(spec.uuid), spec)
    guests.driver.destroy(claim_on(spec.uuid))
    assert other.get_instance(spec.uuid).power_state == states.RUNNING
    other.destroy(claim_on(spec.uuid))
    assert real.processes_of(tmp_path / 'other') == []


# -- daemons come and go

def test_guests_outlive_the_daemon_that_made_them(guests, root):
    script = (
        'import sys\n'
        'from computed import concurrency\n'
        'concurrency.choose()\n'
        'from computed.virt import process\n'
        'from tests.support import driver_contract\n'
        'from tests.support import process_guests\n'
        'driver = process.ProcessDriver('
        'process_guests.configured(sys.argv[1]))\n'
        'driver.init_host(driver_contract.OWNER)\n'
        'print(driver_contract.DriverContract().spawned(driver))\n'
        'sys.stdout.flush()\n'
        'import os, signal\n'
        'os.killpg(0, signal.SIGKILL)\n')
    daemon = subprocess.run(
        [sys.executable, '-c', script, str(root.parent)],
        stdout=subprocess.PIPE, text=True, start_new_session=True,
        check=False, timeout=60,
        cwd=pathlib.Path(__file__).parents[3])
    assert daemon.returncode == -signal.SIGKILL
    guest = daemon.stdout.strip()
    assert guests.info(guest).power_state == states.RUNNING
    events = []
    guests.driver.subscribe(events.append)
    os.kill(guests.pid(guest), signal.SIGKILL)
    waiting.wait_for(lambda: events == [guest])
    info = guests.info(guest)
    assert (info.power_state, info.exit_code) == (states.CRASHED, -9)


def test_a_guest_that_ended_without_a_daemon_is_known_to_have(
        guests, make_driver):
    guest = guests.spawn()
    pid = guests.pid(guest)
    guests.driver.close()
    os.kill(pid, signal.SIGKILL)
    waiting.wait_for(lambda: not real.is_alive(pid))
    info = make_driver().get_instance(guest)
    assert (info.power_state, info.exit_code) == (states.CRASHED, -9)


def test_guests_of_another_owner_are_listed_and_left_alone(
        guests, make_driver):
    guest = guests.spawn()
    other = make_driver(driver_contract.OTHER_OWNER)
    info = other.list_instances().instances[guest]
    assert info.owner == driver_contract.OWNER
    with pytest.raises(exception.ForeignGuest):
        other.destroy(claim_on(guest, driver_contract.OTHER_OWNER))
    assert guests.info(guest).power_state == states.RUNNING


def test_a_shim_is_no_child_of_the_daemon(guests):
    guest = guests.spawn()
    children = psutil.Process().children(recursive=True)
    assert not {one.pid for one in children} & {
        guests.pid(guest), guests.run(guest)['shim_pid']}


def test_half_made_and_half_removed_guests_are_cleared_at_start(
        guests, root, make_driver):
    for name in (f'{uuid.uuid4()}.new', f'{uuid.uuid4()}.deleting', 'keep'):
        (root / name / 'disk').mkdir(parents=True)
    link = root / f'{uuid.uuid4()}.deleting'
    link.symlink_to(root / 'keep')
    make_driver()
    assert {path.name for path in root.iterdir()} == {'keep', link.name}
    assert (root / 'keep' / 'disk').exists()


def test_a_destroy_that_was_cut_short_is_finished_by_the_next(guests, root):
    guest = guests.spawn()
    guests.driver.power_off(claim_on(guest), 0)
    (root / guest).rename(root / f'{guest}.deleting')
    assert guests.driver.list_instances().instances == {}
    guests.driver.destroy(claim_on(guest))
    assert list(root.iterdir()) == []


def test_files_that_stay_are_removed_later(guests, root, monkeypatch):
    guest = guests.spawn()

    def fail(path):
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), path)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, 'rmtree', fail)
        for remove in (guests.driver.destroy,
                       guests.driver.delete_instance_files):
            with pytest.raises(exception.FilesLeft, match='busy'):
                remove(claim_on(guest))
            assert guests.driver.list_instances().instances == {}
            assert guests.driver.list_instance_files().keys() == {guest}
    outside = root.parent / 'outside'
    outside.mkdir()
    (root / f'{guest}.deleting' / 'disk' / 'link').symlink_to(outside)
    (outside / 'kept').touch()
    guests.driver.delete_instance_files(claim_on(guest))
    assert guests.driver.list_instance_files() == {}
    assert (outside / 'kept').exists()


def test_a_link_in_place_of_the_files_is_not_followed(guests, root):
    guest, outside = str(uuid.uuid4()), root.parent / 'outside'
    outside.mkdir()
    (root / f'{guest}.deleting').symlink_to(outside)
    with pytest.raises(exception.FilesLeft):
        guests.driver.delete_instance_files(claim_on(guest))
    assert outside.exists()


def test_a_spawn_that_was_cut_short_may_be_repeated(guests, root):
    spec = driver_contract.DriverContract().spec()
    guests.driver.spawn(claim_on(spec.uuid), spec)
    guests.driver.power_off(claim_on(spec.uuid), 0)
    (root / spec.uuid / 'run.json').unlink()
    assert guests.info(spec.uuid).reason == 'was never started'
    guests.driver.spawn(claim_on(spec.uuid), spec)
    assert guests.info(spec.uuid).power_state == states.RUNNING
