"""Test how guests end, and what is known about it."""

import contextlib
import os
import signal
from concurrent import futures

import psutil
import pytest

from computed import exception
from computed import states
from tests.support import driver_contract
from tests.support import process_guests as real
from tests.support import waiting

claim_on = driver_contract.claim_on


def test_a_killed_guest_has_crashed_and_sends_an_event(guests):
    events = []
    guests.driver.subscribe(
        lambda guest: events.append((guest, guests.info(guest))))
    guest = guests.spawn()
    waiting.wait_for(lambda: events)
    events.clear()
    os.kill(guests.pid(guest), signal.SIGKILL)
    waiting.wait_for(lambda: events)
    # The callback itself already saw the final state.
    [(named, info)] = events
    assert named == guest
    assert info.power_state == states.CRASHED
    assert info.exit_code == -signal.SIGKILL
    assert info.reason == 'killed by SIGKILL'
    assert 'pid' not in info.details


@pytest.mark.parametrize('command, power_state, exit_code', [
    ('true', states.SHUTDOWN, 0),
    ('sh -c "exit 3"', states.CRASHED, 3),
    ('/no/such/program', states.CRASHED, 127),
    ('sh -c "kill -SEGV $$"', states.CRASHED, -signal.SIGSEGV)])
def test_the_exit_code_tells_an_end_from_a_crash(
        guests, command, power_state, exit_code):
    guest = guests.spawn(command)
    info = guests.wait_for_state(guest, power_state)
    assert info.exit_code == exit_code


def test_all_processes_of_a_guest_end_with_its_main_process(guests, root):
    guest = guests.spawn(real.shell('setsid sleep 1000 & sleep 0.1'))
    guests.wait_for_state(guest, states.SHUTDOWN)
    waiting.wait_for(lambda: not real.processes_of(root / guest))


def test_a_guest_that_kills_its_process_group_is_recorded(guests):
    guest = guests.spawn(real.shell('kill -9 0'))
    # The shim is not in that group.
    waiting.wait_for((guests.root / guest / 'exit.json').exists)
    assert guests.info(guest).exit_code == -signal.SIGKILL


def test_the_end_may_be_unknown_when_the_shim_was_killed_too(guests):
    guest = guests.spawn()
    pid = guests.pid(guest)
    os.kill(guests.run(guest)['shim_pid'], signal.SIGKILL)
    # The kernel may have ended it with its shim.
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    info = guests.wait_for_end(guest)
    # The kernel knows the code until init collects the zombie.
    assert (info.power_state, info.reason, info.exit_code) in (
        (states.SHUTDOWN, 'exit code unknown', None),
        (states.CRASHED, 'killed by SIGKILL', -signal.SIGKILL))


def test_a_guest_without_its_first_thread_still_runs(guests):
    guest = guests.spawn(real.python(
        'import ctypes, threading, time;'
        "threading.Thread(target=lambda: (time.sleep(0.1),"
        "print('on', flush=True), time.sleep(1000))).start();"
        'ctypes.CDLL(None).pthread_exit(None)'))
    guests.wait_for_output(guest, 'on')
    pid = guests.run(guest)['pid']
    waiting.wait_for(lambda: real.state_of(pid) == psutil.STATUS_ZOMBIE)
    assert guests.info(guest).power_state == states.RUNNING


def test_a_guest_stopped_on_purpose_has_not_crashed(guests):
    guest = guests.spawn()
    guests.driver.power_off(claim_on(guest), 10)
    info = guests.info(guest)
    assert info.power_state == states.SHUTDOWN
    assert info.exit_code == -signal.SIGTERM
    # A kill in its next run is a crash.
    guests.driver.power_on(claim_on(guest))
    os.kill(guests.pid(guest), signal.SIGKILL)
    guests.wait_for_state(guest, states.CRASHED)


def test_powering_off_a_crashed_guest_leaves_the_crash_to_be_seen(guests):
    guest = guests.spawn('false')
    guests.wait_for_state(guest, states.CRASHED)
    guests.driver.power_off(claim_on(guest), 10)
    assert guests.info(guest).power_state == states.CRASHED


def test_a_soft_reboot_waits_no_longer_once_it_is_told_to_end(guests):
    guest = guests.spawn(real.shell('trap : TERM; echo on; while :; do '
                                    'sleep 1; done'))
    guests.wait_for_output(guest, 'on')
    pid, claim = guests.pid(guest), claim_on(guest)
    with futures.ThreadPoolExecutor() as pool:
        rebooted = pool.submit(guests.driver.reboot, claim, False, 1000)
        waiting.wait_for(lambda: guests.root.joinpath(
            guest, 'stopped').exists())
        claim.interruption.reason = exception.TookTooLong(
            seconds=1, option='reboot_timeout')
        rebooted.result(timeout=30)
    assert guests.pid(guest) != pid
    assert guests.info(guest).power_state == states.RUNNING
