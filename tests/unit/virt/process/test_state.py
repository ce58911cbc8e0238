import signal

import pytest

from computed import states
from computed.virt.process import proc
from computed.virt.process import state

MAIN = proc.Process(pid=100, start_time=5000)
RUN = state.Run(boot_id='this', main=MAIN, shim=proc.Process(99, 4999),
                started_at='2026-01-01T00:00:00Z')


def stat(letter, process=MAIN, threads=1, exit_status=0):
    return proc.Stat(process=process, parent=99, state=letter,
                     threads=threads, exit_status=exit_status)


def ending(code, **changed):
    return {**RUN.identity, 'code': code, **changed}


def judge(run=RUN, boot_id='this', stat=None, ending=None, stopping=None):
    found = state.judge(run, boot_id, stat, ending, stopping)
    return found.power_state, found.reason, found.exit_code


@pytest.mark.parametrize('letter', 'RSDIt')
def test_a_process_that_is_not_stopped_runs(letter):
    assert judge(stat=stat(letter)) == (states.RUNNING, None, None)


def test_a_process_stopped_by_a_signal_is_paused():
    assert judge(stat=stat('T')) == (states.POWER_PAUSED, None, None)


def test_a_zombie_with_threads_runs():
    assert judge(stat=stat('Z', threads=2))[0] == states.RUNNING


@pytest.mark.parametrize('code, expected', [
    (0, (states.SHUTDOWN, 'ended by itself', 0)),
    (3, (states.CRASHED, 'exit code 3', 3)),
    (-9, (states.CRASHED, 'killed by SIGKILL', -9)),
    (-250, (states.CRASHED, 'killed by signal 250', -250))])
def test_the_exit_code_decides_how_it_ended(code, expected):
    assert judge(ending=ending(code)) == expected


@pytest.mark.parametrize('status, expected', [
    (0, states.SHUTDOWN), (3 << 8, states.CRASHED),
    (signal.SIGSEGV | 0x80, states.CRASHED)])
def test_without_a_record_the_zombie_gives_the_code(status, expected):
    assert judge(stat=stat('Z', exit_status=status))[0] == expected


def test_another_process_with_the_pid_is_ignored():
    other = stat('S', process=proc.Process(100, 6000))
    assert judge(stat=other) == (
        states.SHUTDOWN, 'exit code unknown', None)


def test_the_same_numbers_of_another_boot_are_ignored():
    assert judge(boot_id='next', stat=stat('S')) == (
        states.SHUTDOWN, 'host was restarted', None)


def test_an_end_before_the_restart_is_still_known():
    assert judge(boot_id='next', ending=ending(3))[0] == states.CRASHED


@pytest.mark.parametrize('changed', [
    {'pid': 101}, {'start_time': 1}, {'boot_id': 'other'}])
def test_the_end_of_another_run_is_ignored(changed):
    assert judge(ending=ending(3, **changed)) == (
        states.SHUTDOWN, 'exit code unknown', None)
    assert judge(ending=ending(3), stopping={**RUN.identity, **changed})[0] \
        == states.CRASHED


@pytest.mark.parametrize('code', [0, 143, -15, -9])
def test_a_guest_stopped_on_purpose_has_not_crashed(code):
    assert judge(ending=ending(code), stopping=RUN.identity) == (
        states.SHUTDOWN, 'was stopped', code)


def test_a_stop_on_purpose_needs_no_recorded_end():
    assert judge(stopping=RUN.identity) == (
        states.SHUTDOWN, 'was stopped', None)


def test_a_guest_that_is_being_stopped_still_runs():
    assert judge(stat=stat('S'), stopping=RUN.identity)[0] == states.RUNNING


def test_a_guest_that_was_never_started_is_off():
    assert judge(run=None) == (states.SHUTDOWN, 'was never started', None)
