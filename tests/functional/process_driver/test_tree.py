"""Test that a change reaches all processes of a guest."""

import os
import signal

import psutil
import pytest

from computed import states
from computed.virt.process import proc
from computed.virt.process import tree
from tests.support import driver_contract
from tests.support import process_guests as real
from tests.support import waiting

claim_on = driver_contract.claim_on


@pytest.mark.parametrize('timeout_s', [0, 0.2])
def test_power_off_ends_the_whole_tree(guests, root, timeout_s):
    guest = real.spawn_tree(guests, root)
    guests.driver.power_off(claim_on(guest), timeout_s)
    assert real.processes_of(root / guest) == []
    assert guests.info(guest).power_state == states.SHUTDOWN
    assert guests.info(guest).exit_code == -signal.SIGKILL


def test_power_off_ends_the_tree_of_a_killed_shim(plain, root):
    guests = plain
    guest = real.spawn_tree(guests, root)
    os.kill(guests.run(guest)['shim_pid'], signal.SIGKILL)
    waiting.wait_for(lambda: len(real.processes_of(root / guest)) == 4)
    assert guests.info(guest).power_state == states.RUNNING
    guests.driver.power_off(claim_on(guest), 0)
    assert real.processes_of(root / guest) == []


def test_descendants_without_markers_belong_to_the_guest(guests):
    guest = guests.spawn(real.shell('setsid env -i sleep 1000; true'))
    main = psutil.Process(guests.pid(guest))
    waiting.wait_for(lambda: [
        one.name() for one in main.children()] == ['sleep'])
    [child] = main.children()
    assert child.environ() == {}
    guests.driver.pause(claim_on(guest))
    assert child.status() == psutil.STATUS_STOPPED
    # A stopped process does not react to SIGTERM.
    guests.driver.power_off(claim_on(guest), 0)
    assert not real.is_alive(child.pid)


def test_power_on_first_ends_what_the_last_run_left(plain, root):
    guests = plain
    guest = real.spawn_tree(guests, root)
    for pid in (guests.run(guest)['shim_pid'], guests.pid(guest)):
        os.kill(pid, signal.SIGKILL)
    guests.wait_for_end(guest)
    strays = real.processes_of(root / guest)
    assert strays
    guests.driver.power_on(claim_on(guest))
    assert not any(real.is_alive(one.pid) for one in strays)
    assert guests.info(guest).power_state == states.RUNNING


def test_pause_stops_the_whole_tree_but_the_shim(guests, root):
    guest = real.spawn_tree(guests, root)
    shim = guests.run(guest)['shim_pid']
    guests.driver.pause(claim_on(guest))
    assert {one.status() for one in real.processes_of(root / guest)
            if one.pid != shim} == {psutil.STATUS_STOPPED}
    assert real.state_of(shim) != psutil.STATUS_STOPPED
    guests.driver.unpause(claim_on(guest))
    waiting.wait_for(lambda: psutil.STATUS_STOPPED not in {
        one.status() for one in real.processes_of(root / guest)})


def test_pause_catches_processes_that_are_being_made(
        guests, root, monkeypatch):
    # How long it takes to catch them is for the machine to say.
    monkeypatch.setattr(tree, '_OBEY_SECONDS', 10 * waiting.PATIENCE)
    guest = guests.spawn(real.python(
        "import subprocess, time; print('up', flush=True);"
        "[(subprocess.Popen(['sleep', '1000']), time.sleep(0.1))"
        ' for _ in iter(int, 1)]'))
    guests.wait_for_output(guest, 'up')

    def members():
        return {one.pid for one in real.processes_of(root / guest)} - {
            guests.run(guest)['shim_pid']}
    send, first = proc.send, []

    def send_late(process, signum):
        if not first:
            # The guest makes one after the driver has looked.
            first.append(members())
            waiting.wait_for(lambda: members() - first[0])
        send(process, signum)
    monkeypatch.setattr(proc, 'send', send_late)
    guests.driver.pause(claim_on(guest))
    assert guests.driver.get_instance(guest).power_state == \
        states.POWER_PAUSED
    caught = members()
    assert caught > first[0]
    # One in a system call stops at its end.
    waiting.wait_for(lambda: all(
        real.state_of(pid) == psutil.STATUS_STOPPED for pid in caught))
    # A stopped process makes no other.
    assert members() == caught


def test_power_off_ends_a_guest_that_forks_all_the_time(guests, root):
    guest = guests.spawn(real.shell(
        'trap "" TERM; while :; do setsid sleep 1 & sleep 0.01; done'))
    waiting.wait_for(lambda: len(real.processes_of(root / guest)) > 3)
    guests.driver.power_off(claim_on(guest), 0.1)
    assert real.processes_of(root / guest) == []


def test_a_guest_may_end_by_itself_within_the_timeout(guests):
    guest = guests.spawn(real.shell(
        'trap "echo bye; exit 0" TERM; echo up; '
        'while :; do sleep 0.05; done'))
    guests.wait_for_output(guest, 'up')
    guests.driver.power_off(claim_on(guest), 10)
    assert 'bye' in guests.driver.console_log(guest, 1000)
    assert guests.info(guest).exit_code == 0


def test_a_paused_guest_may_end_by_itself_too(guests):
    guest = guests.spawn(real.shell(
        'trap "exit 0" TERM; echo up; while :; do sleep 0.05; done'))
    guests.wait_for_output(guest, 'up')
    guests.driver.pause(claim_on(guest))
    guests.driver.power_off(claim_on(guest), 10)
    assert guests.info(guest).exit_code == 0
