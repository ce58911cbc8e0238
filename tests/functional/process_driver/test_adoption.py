"""Test guests that run although their files were removed."""

import os
import shutil
import signal

import pytest

from computed import exception
from computed import states
from computed.virt.process import adoption
from tests.support import driver_contract
from tests.support import process_guests as real
from tests.support import waiting

claim_on = driver_contract.claim_on


def lose(root, guest, name):
    """Remove a file of a guest, or its whole folder."""
    if name == 'folder':
        shutil.rmtree(root / guest)
    else:
        (root / guest / name).unlink()


def test_a_guest_without_its_folder_is_ended_with_its_instance(
        guests, root):
    guest = real.spawn_tree(guests, root)
    shutil.rmtree(root / guest)
    guests.driver.destroy(claim_on(guest))
    assert real.processes_of(root / guest) == []
    assert real.left_of(root) == []


def test_a_guest_without_folder_and_shim_is_ended_too(guests, root):
    guest = guests.spawn()
    run = guests.run(guest)
    shutil.rmtree(root / guest)
    os.kill(run['shim_pid'], signal.SIGKILL)
    waiting.wait_for(lambda: not real.is_alive(run['shim_pid']))
    guests.driver.destroy(claim_on(guest))
    assert real.processes_of(root / guest) == []
    assert real.left_of(root) == []


@pytest.mark.parametrize('name', ['run.json', 'spec.json', 'folder'])
def test_a_running_guest_without_its_files_is_adopted_at_start(
        guests, root, make_driver, name, caplog):
    guest, other = guests.spawn(), guests.spawn()
    before = guests.info(guest)
    guests.driver.close()
    lose(root, guest, name)
    adopted = make_driver().list_instances().instances
    assert adopted[guest] == before
    assert adopted[other].power_state == states.RUNNING
    lines = [one.getMessage() for one in caplog.records
             if one.name == adoption.__name__]
    assert len(lines) == 1 and guest in lines[0] and name in lines[0]


@pytest.mark.parametrize('name', ['run.json', 'folder'])
def test_a_list_finds_a_guest_whose_files_went_meanwhile(
        guests, root, name):
    guest = guests.spawn()
    before = guests.driver.list_instances()
    lose(root, guest, name)
    assert guests.driver.list_instances() == before


@pytest.mark.parametrize('change, power_state', [
    ('power_on', states.RUNNING), ('pause', states.POWER_PAUSED),
    ('power_off', states.SHUTDOWN)])
@pytest.mark.parametrize('name', ['run.json', 'folder'])
def test_a_change_of_a_guest_without_its_files_is_a_change_of_that_guest(
        guests, root, name, change, power_state):
    guest = guests.spawn()
    pid = guests.pid(guest)
    lose(root, guest, name)
    driver_contract.CHANGES[change](guests.driver, claim_on(guest))
    info = guests.info(guest)
    assert info.power_state == power_state
    assert info.details.get('pid') == (
        None if change == 'power_off' else pid)


def test_a_record_of_an_earlier_run_does_not_hide_the_one_that_goes_on(
        guests, root):
    guest = guests.spawn()
    former = (root / guest / 'run.json').read_text()
    guests.driver.reboot(claim_on(guest), True, 0)
    pid = guests.pid(guest)
    (root / guest / 'run.json').write_text(former)
    assert guests.info(guest).power_state == states.RUNNING
    assert guests.pid(guest) == pid


def test_a_guest_of_another_owner_stays_so_without_its_folder(
        guests, root, make_driver):
    guest = guests.spawn()
    shutil.rmtree(root / guest)
    other = make_driver(driver_contract.OTHER_OWNER)
    with pytest.raises(exception.ForeignGuest):
        other.destroy(claim_on(guest, driver_contract.OTHER_OWNER))
    assert guests.info(guest).power_state == states.RUNNING


def test_a_guest_that_ended_without_its_files_is_not_adopted(guests, root):
    guest = guests.spawn()
    pid = guests.pid(guest)
    shutil.rmtree(root / guest)
    os.kill(pid, signal.SIGKILL)
    waiting.wait_for(lambda: not real.processes_of(root / guest))
    assert guests.driver.list_instances().instances == {}
    with pytest.raises(exception.GuestNotFound):
        guests.driver.get_instance(guest)


def test_a_second_spawn_of_a_guest_without_its_folder_is_refused(
        guests, root):
    spec = driver_contract.DriverContract().spec()
    guests.driver.spawn(claim_on(spec.uuid), spec)
    pid = guests.pid(spec.uuid)
    shutil.rmtree(root / spec.uuid)
    with pytest.raises(exception.DriverError, match='exists already'):
        guests.driver.spawn(claim_on(spec.uuid), spec)
    assert guests.pid(spec.uuid) == pid


def pretend(guests, root, other, script='sleep 1000; :', **more):
    """Return a guest with a process that has the markers of another one."""
    variables = {'COMPUTED_INSTANCE': other,
                 'COMPUTED_FOLDER': root / other, **more}
    words = ' '.join(f'{name}={value}' for name, value in variables.items())
    guest = guests.spawn(
        f"env {words} sh -c 'echo up; {script}' & wait; sleep 1000")
    guests.wait_for_output(guest, 'up')
    return guest


@pytest.mark.parametrize('helpers', ['guests', 'plain'])
def test_no_guest_can_pretend_to_be_another_one(
        request, root, make_driver, helpers):
    guests = request.getfixturevalue(helpers)
    other = guests.spawn()
    guests.driver.power_off(claim_on(other), 0)
    guests.replace_run(other, boot_id='an earlier one')
    liar = pretend(guests, root, other)
    before = {one.pid for one in real.processes_of(root)}
    guests.driver.close()
    later = real.Guests(make_driver(), root)
    assert later.info(other).power_state == states.SHUTDOWN
    later.driver.power_on(claim_on(other))
    assert later.pid(other) not in before
    later.driver.destroy(claim_on(other))
    assert before <= {one.pid for one in real.processes_of(root)}
    assert later.info(liar).power_state == states.RUNNING


def test_no_name_of_a_process_keeps_the_driver_from_its_start(
        guests, root, make_driver):
    other = guests.spawn()
    guest = pretend(
        guests, root, other,
        'printf "shim-\\302\\262" > /proc/self/comm; echo named; '
        'sleep 1000; :', COMPUTED_SHIM=root / other)
    guests.wait_for_output(guest, 'named')
    adopted = make_driver().list_instances().instances
    assert adopted[guest].power_state == states.RUNNING
    assert adopted[other] == guests.info(other)
