"""Test the process driver with real processes."""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import types
import uuid

import psutil
import pytest

from computed import exception
from computed import states
from computed.virt import process
from computed.virt.process import network
from computed.virt.process import proc
from tests.support import driver_contract
from tests.support import waiting

claim_on = driver_contract.claim_on


def processes_of(folder):
    """Return every live process with markers of guests below ``folder``.

    It does not use the driver's code, which is under test.
    """
    marked = []
    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            found = one.environ()
            if one.status() != psutil.STATUS_ZOMBIE and any(
                    found.get(name, '').startswith(str(folder))
                    for name in ('COMPUTED_FOLDER', 'COMPUTED_SHIM')):
                marked.append(one)
    return marked


def present(names):
    """Return the names of network interfaces that exist on the host."""
    return [name for name in names if os.path.exists(f'/sys/class/net/{name}')]


@pytest.fixture
def planned(monkeypatch):
    """Return the host interfaces of all networks that the test plans."""
    names = []
    real = network.plan

    def plan(*args):
        found = real(*args)
        names.append(found.host_device)
        return found

    monkeypatch.setattr(network, 'plan', plan)
    return names


@pytest.fixture
def root(tmp_path, planned):
    """Return the folder of the guests; check that nothing is left."""
    root = tmp_path / 'instances'
    yield root
    left = psutil.wait_procs(processes_of(root), timeout=0)[1]
    for one in left:
        one.kill()
    assert not left, f'processes were left: {left}'
    assert present(planned) == []


@pytest.fixture
def make_driver(root):
    """Return a function that makes a driver, as a restarted daemon does."""
    made = []

    def make(owner=driver_contract.OWNER):
        driver = process.ProcessDriver(
            types.SimpleNamespace(state_path=str(root.parent)))
        made.append(driver)
        driver.init_host(owner)
        return driver

    yield make
    for driver in made:
        driver.close()


@pytest.fixture
def driver(make_driver):
    driver = make_driver()
    yield driver
    for guest, info in driver.list_instances().instances.items():
        if info.owner is not None:
            driver.destroy(claim_on(guest, info.owner))


def shell(script):
    """Return a command that runs ``script``, which has no single quotes."""
    return f"sh -c '{script}'"


def python(script):
    """Return a command that runs ``script`` with this Python."""
    return f'{sys.executable} -S -c "{script}"'


class TestContract(driver_contract.DriverContract):

    @pytest.fixture
    def driver(self, driver):
        return driver


class Guests:
    """Helpers over a driver."""

    def __init__(self, driver, root):
        self.driver = driver
        self.root = root

    def spawn(self, command='sleep 1000', **changed):
        return TestContract().spawned(
            self.driver, command=command, **changed)

    def info(self, guest):
        return self.driver.get_instance(guest)

    def pid(self, guest):
        return self.info(guest).details['pid']

    def wait_for_state(self, guest, power_state):
        return waiting.wait_for(
            lambda: (info := self.info(guest)).power_state == power_state
            and info)

    def wait_for_end(self, guest):
        return waiting.wait_for(
            lambda: (info := self.info(guest)).power_state in (
                states.SHUTDOWN, states.CRASHED) and info)

    def wait_for_output(self, guest, text):
        return waiting.wait_for(
            lambda: text in (out := self.driver.console_log(guest, 10000))
            and out, what=f'{text} on the console')

    def run(self, guest):
        return json.loads((self.root / guest / 'run.json').read_text())

    def replace_run(self, guest, **changed):
        """Replace fields of run.json by a new file, as the shim does."""
        new = self.root / guest / 'run.json.tmp'
        new.write_text(json.dumps({**self.run(guest), **changed}))
        new.rename(self.root / guest / 'run.json')


@pytest.fixture
def guests(driver, root):
    return Guests(driver, root)


def is_alive(pid):
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def state_of(pid):
    return psutil.Process(pid).status()


# -- how guests end

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
    guest = guests.spawn(shell('setsid sleep 1000 & sleep 0.1'))
    guests.wait_for_state(guest, states.SHUTDOWN)
    waiting.wait_for(lambda: not processes_of(root / guest))


def test_a_guest_that_kills_its_process_group_is_recorded(guests):
    guest = guests.spawn(shell('kill -9 0'))
    # The shim is not in that group.
    waiting.wait_for((guests.root / guest / 'exit.json').exists)
    assert guests.info(guest).exit_code == -signal.SIGKILL


def test_the_end_may_be_unknown_when_the_shim_was_killed_too(guests):
    guest = guests.spawn()
    os.kill(guests.run(guest)['shim_pid'], signal.SIGKILL)
    os.kill(guests.pid(guest), signal.SIGKILL)
    info = guests.wait_for_end(guest)
    # The kernel knows the code until init collects the zombie.
    assert (info.power_state, info.reason, info.exit_code) in (
        (states.SHUTDOWN, 'exit code unknown', None),
        (states.CRASHED, 'killed by SIGKILL', -signal.SIGKILL))


def test_a_guest_without_its_first_thread_still_runs(guests):
    guest = guests.spawn(python(
        'import ctypes, threading, time;'
        "threading.Thread(target=lambda: (time.sleep(0.1),"
        "print('on', flush=True), time.sleep(1000))).start();"
        'ctypes.CDLL(None).pthread_exit(None)'))
    guests.wait_for_output(guest, 'on')
    pid = guests.run(guest)['pid']
    waiting.wait_for(lambda: state_of(pid) == psutil.STATUS_ZOMBIE)
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


# -- the tree

TREE = ('trap "" TERM; '
        '(setsid sh -c "trap \\"\\" TERM; sleep 1001; sleep 1001" &); '
        'sleep 1002 & echo up; wait; wait; sleep 1003')


def spawn_tree(guests, root):
    """Return a guest of several processes that all ignore SIGTERM."""
    guest = guests.spawn(shell(TREE.replace("'", '')))
    guests.wait_for_output(guest, 'up')
    # the shim, the main process and its child, the setsid one and its child
    waiting.wait_for(lambda: len(processes_of(root / guest)) == 5)
    return guest


@pytest.mark.parametrize('timeout_s', [0, 0.2])
def test_power_off_ends_the_whole_tree(guests, root, timeout_s):
    guest = spawn_tree(guests, root)
    guests.driver.power_off(claim_on(guest), timeout_s)
    assert processes_of(root / guest) == []
    assert guests.info(guest).power_state == states.SHUTDOWN
    assert guests.info(guest).exit_code == -signal.SIGKILL


def test_power_off_ends_the_tree_of_a_killed_shim(guests, root):
    guest = spawn_tree(guests, root)
    os.kill(guests.run(guest)['shim_pid'], signal.SIGKILL)
    waiting.wait_for(lambda: len(processes_of(root / guest)) == 4)
    assert guests.info(guest).power_state == states.RUNNING
    guests.driver.power_off(claim_on(guest), 0)
    assert processes_of(root / guest) == []


def test_descendants_without_markers_belong_to_the_guest(guests):
    guest = guests.spawn(shell('setsid env -i sleep 1000; true'))
    main = psutil.Process(guests.pid(guest))
    waiting.wait_for(lambda: [
        one.name() for one in main.children()] == ['sleep'])
    [child] = main.children()
    assert child.environ() == {}
    guests.driver.pause(claim_on(guest))
    assert child.status() == psutil.STATUS_STOPPED
    # A stopped process does not react to SIGTERM.
    guests.driver.power_off(claim_on(guest), 0)
    assert not is_alive(child.pid)


def test_power_on_first_ends_what_the_last_run_left(guests, root):
    guest = spawn_tree(guests, root)
    for pid in (guests.run(guest)['shim_pid'], guests.pid(guest)):
        os.kill(pid, signal.SIGKILL)
    guests.wait_for_end(guest)
    strays = processes_of(root / guest)
    assert strays
    guests.driver.power_on(claim_on(guest))
    assert not any(is_alive(one.pid) for one in strays)
    assert guests.info(guest).power_state == states.RUNNING


def test_pause_stops_the_whole_tree_but_the_shim(guests, root):
    guest = spawn_tree(guests, root)
    shim = guests.run(guest)['shim_pid']
    guests.driver.pause(claim_on(guest))
    assert {one.status() for one in processes_of(root / guest)
            if one.pid != shim} == {psutil.STATUS_STOPPED}
    assert state_of(shim) != psutil.STATUS_STOPPED
    guests.driver.unpause(claim_on(guest))
    waiting.wait_for(lambda: psutil.STATUS_STOPPED not in {
        one.status() for one in processes_of(root / guest)})


def test_pause_catches_processes_that_are_being_made(guests, root):
    guest = guests.spawn(shell('while :; do sh -c : ; echo up; done'))
    guests.wait_for_output(guest, 'up')
    guests.driver.pause(claim_on(guest))
    size = (root / guest / 'console.log').stat().st_size
    assert guests.driver.get_instance(guest).power_state == \
        states.POWER_PAUSED
    assert (root / guest / 'console.log').stat().st_size == size


def test_power_off_ends_a_guest_that_forks_all_the_time(guests, root):
    guest = guests.spawn(shell(
        'trap "" TERM; while :; do setsid sleep 0.05 & sleep 0.01; done'))
    waiting.wait_for(lambda: len(processes_of(root / guest)) > 3)
    guests.driver.power_off(claim_on(guest), 0.1)
    assert processes_of(root / guest) == []


def test_a_guest_may_end_by_itself_within_the_timeout(guests):
    guest = guests.spawn(shell(
        'trap "echo bye; exit 0" TERM; echo up; '
        'while :; do sleep 0.05; done'))
    guests.wait_for_output(guest, 'up')
    guests.driver.power_off(claim_on(guest), 10)
    assert 'bye' in guests.driver.console_log(guest, 1000)
    assert guests.info(guest).exit_code == 0


def test_a_paused_guest_may_end_by_itself_too(guests):
    guest = guests.spawn(shell(
        'trap "exit 0" TERM; echo up; while :; do sleep 0.05; done'))
    guests.wait_for_output(guest, 'up')
    guests.driver.pause(claim_on(guest))
    guests.driver.power_off(claim_on(guest), 10)
    assert guests.info(guest).exit_code == 0


# -- identity

@pytest.fixture
def stranger():
    """Return a process that does not belong to a guest."""
    with subprocess.Popen(['sleep', '1000']) as one:
        yield one
        one.kill()


@pytest.mark.parametrize('change', ['power_off', 'destroy', 'power_on'])
def test_a_process_that_got_the_pid_of_a_guest_is_not_touched(
        guests, stranger, change):
    guest = guests.spawn()
    guests.driver.power_off(claim_on(guest), 0)
    guests.replace_run(guest, pid=stranger.pid, shim_pid=stranger.pid)
    assert guests.info(guest).power_state == states.SHUTDOWN
    driver_contract.CHANGES[change](guests.driver, claim_on(guest))
    assert stranger.poll() is None
    assert state_of(stranger.pid) == psutil.STATUS_SLEEPING


def test_a_pid_that_changed_hands_since_the_look_gets_no_signal(stranger):
    found = proc.stat(stranger.pid).process
    former = dataclasses.replace(found, start_time=found.start_time - 1)
    assert not proc.send(former, signal.SIGKILL)
    assert stranger.poll() is None
    assert proc.send(found, signal.SIGKILL)
    assert stranger.wait(10) == -signal.SIGKILL


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
    spec = TestContract().spec()
    other = process.ProcessDriver(
        types.SimpleNamespace(state_path=str(tmp_path / 'other')))
    other.init_host(driver_contract.OWNER)
    for driver in (guests.driver, other):
        driver.spawn(claim_on(spec.uuid), spec)
    guests.driver.destroy(claim_on(spec.uuid))
    assert other.get_instance(spec.uuid).power_state == states.RUNNING
    other.destroy(claim_on(spec.uuid))
    assert processes_of(tmp_path / 'other') == []


# -- daemons come and go

def test_guests_outlive_the_daemon_that_made_them(guests, root):
    script = (
        'import types, sys\n'
        'from computed import concurrency\n'
        'concurrency.choose()\n'
        'from computed.virt import process\n'
        'from tests.support import driver_contract\n'
        'driver = process.ProcessDriver('
        'types.SimpleNamespace(state_path=sys.argv[1]))\n'
        'driver.init_host(driver_contract.OWNER)\n'
        'print(driver_contract.DriverContract().spawned(driver))\n'
        'sys.stdout.flush()\n'
        'import os, signal\n'
        'os.killpg(0, signal.SIGKILL)\n')
    daemon = subprocess.run(
        [sys.executable, '-c', script, str(root.parent)],
        stdout=subprocess.PIPE, text=True, start_new_session=True,
        check=False, timeout=60,
        cwd=pathlib.Path(__file__).parents[2])
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
    waiting.wait_for(lambda: not is_alive(pid))
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


def test_a_spawn_that_was_cut_short_may_be_repeated(guests, root):
    spec = TestContract().spec()
    guests.driver.spawn(claim_on(spec.uuid), spec)
    guests.driver.power_off(claim_on(spec.uuid), 0)
    (root / spec.uuid / 'run.json').unlink()
    assert guests.info(spec.uuid).reason == 'was never started'
    guests.driver.spawn(claim_on(spec.uuid), spec)
    assert guests.info(spec.uuid).power_state == states.RUNNING


# -- damage

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


def test_a_guest_whose_owner_is_unreadable_is_left_alone(guests, root):
    guest = guests.spawn()
    spec = root / guest / 'spec.json'
    kept = spec.read_text()
    spec.unlink()
    with pytest.raises(exception.ForeignGuest, match='nobody'):
        guests.driver.destroy(claim_on(guest))
    spec.write_text(kept)
    assert guests.info(guest).power_state == states.RUNNING


@pytest.mark.parametrize('change', ['power_off', 'destroy'])
def test_a_guest_is_ended_without_its_run_file(guests, root, change):
    guest = spawn_tree(guests, root)
    (root / guest / 'run.json').write_text('{')
    driver_contract.CHANGES[change](guests.driver, claim_on(guest))
    assert processes_of(root / guest) == []
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
    guest = guests.spawn('true')
    guests.wait_for_state(guest, states.SHUTDOWN)
    (root / guest / 'console.log').unlink()
    (root / guest / 'console.log').symlink_to('/etc/passwd')
    with pytest.raises(exception.DriverError):
        guests.driver.console_log(guest, 1000)


# -- a failed spawn leaves nothing

def left_of(root):
    return [path.name for path in root.iterdir()]


def test_a_guest_that_cannot_be_executed_leaves_nothing(guests, root):
    with pytest.raises(exception.DriverError, match='null') as caught:
        guests.spawn('echo \0')
    assert '\n' not in str(caught.value)
    assert left_of(root) == []
    assert processes_of(root) == []


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
    driver = process.ProcessDriver(
        types.SimpleNamespace(state_path=str(tmp_path)))
    with pytest.raises(exception.DriverNotReady, match='instances'):
        driver.init_host(driver_contract.OWNER)


def test_a_driver_that_was_not_started_spawns_nothing(tmp_path):
    spec = TestContract().spec()
    driver = process.ProcessDriver(
        types.SimpleNamespace(state_path=str(tmp_path)))
    with pytest.raises(exception.DriverNotReady):
        driver.spawn(claim_on(spec.uuid), spec)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_network_is_refused(guests, root):
    with pytest.raises(exception.DriverError, match='neither host nor'):
        guests.spawn(network='bridge')
    assert left_of(root) == []


# -- what a guest gets

def test_a_guest_gets_its_limits_and_nothing_of_the_daemon(
        guests, monkeypatch, root):
    monkeypatch.setenv('DATABASE_PASSWORD', 'secret')
    guest = guests.spawn(
        shell('env; pwd; ulimit -v; ls -l /proc/self/fd; echo up; '
              'sleep 1000'), memory_mb=512, vcpus=1)
    output = guests.wait_for_output(guest, 'up')
    assert 'secret' not in output
    assert f'COMPUTED_INSTANCE={guest}' in output
    assert str(root / guest / 'disk') in output
    assert str(512 * 1024) in output.split()
    assert '0 -> /dev/null' in output
    assert f'2 -> {root / guest / "console.log"}' in output
    assert 'socket:' not in output
    assert 'pipe:' not in output
    assert len(os.sched_getaffinity(guests.pid(guest))) == 1


def test_signals_do_for_a_guest_what_they_do_for_any_program(guests):
    guest = guests.spawn(shell('grep Sig /proc/self/status; sleep 1000'))
    output = guests.wait_for_output(guest, 'SigCgt')
    ignored = dict(line.split() for line in output.splitlines()
                   if line.startswith('Sig'))
    # The C library reserves 32 and 33: a program cannot set them, and some
    # versions of make leave them ignored.
    library = 0b11 << 31
    assert int(ignored['SigIgn:'], 16) & ~library == 0
    assert int(ignored['SigBlk:'], 16) == 0


def test_the_folder_of_a_guest_is_for_its_owner_only(guests, root):
    guest = guests.spawn()
    assert root.stat().st_mode & 0o777 == 0o700
    assert (root / guest).stat().st_mode & 0o777 == 0o700


def test_the_console_shows_its_end_and_any_bytes(guests):
    guest = guests.spawn(python(
        "import os; os.write(1, b'x' * 5000 + b'\\xff end')"))
    guests.wait_for_output(guest, 'end')
    assert guests.driver.console_log(guest, 5) == '\N{REPLACEMENT CHARACTER}'\
        ' end'


def test_details_tell_the_pid_and_since_when(guests):
    guest = guests.spawn()
    details = guests.info(guest).details
    assert details['pid'] == guests.run(guest)['pid']
    assert details['started_at'] == guests.run(guest)['started_at']
    assert details['interfaces'] == []


# -- a network of its own

@pytest.fixture
def private(guests):
    """Return a function that spawns a guest with a private network.

    It skips the test if the kernel refuses that.
    """
    def spawn(command='sleep 1000'):
        try:
            return guests.spawn(command, network='private')
        except exception.NotSupported as error:
            pytest.skip(str(error))
    return spawn


def test_a_private_network_is_not_the_hosts(guests, private):
    guest = private()
    assert os.readlink(f'/proc/{guests.pid(guest)}/ns/net') != \
        os.readlink('/proc/self/ns/net')
    routes = pathlib.Path(f'/proc/{guests.pid(guest)}/net/dev').read_text()
    assert 'lo:' in routes


def test_the_loopback_of_a_private_network_works(guests, private):
    guest = private(python(
        "import socket; s = socket.create_server(('127.0.0.1', 0));"
        'socket.create_connection(s.getsockname());'
        "print('connected', flush=True)"))
    guests.wait_for_output(guest, 'connected')


needs_veth = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which('ip'),
    reason='takes root and the program ip')


@needs_veth
def test_a_guest_is_reached_at_its_address_also_after_a_restart(
        guests, private):
    guest = private(python(
        "import socket; s = socket.create_server(('0.0.0.0', 80));"
        'p = socket.socket(socket.AF_PACKET, socket.SOCK_RAW);'
        "p.bind(('eth0', 0)); mac = p.getsockname()[4].hex(':');"
        "print('up', flush=True);"
        's.accept()[0].sendall(mac.encode())'))
    before = guests.info(guest).details['interfaces']
    for starts in (1, 2):
        waiting.wait_for(lambda starts=starts: guests.driver.console_log(
            guest, 1000).count('up') == starts)
        [interface] = guests.info(guest).details['interfaces']
        with socket.create_connection((interface['address'], 80),
                                      timeout=5) as connection:
            assert connection.recv(100).decode() == interface['mac']
        guests.driver.reboot(claim_on(guest), True, 0)
    assert guests.info(guest).details['interfaces'] == before


@needs_veth
def test_guests_have_addresses_of_their_own(guests, private):
    found = [guests.info(private()).details['interfaces'][0]
             for _ in range(3)]
    for name in ('address', 'mac'):
        assert len({interface[name] for interface in found}) == 3


@needs_veth
@pytest.mark.parametrize('change', ['power_off', 'destroy'])
def test_the_interface_goes_with_the_guest(
        guests, private, planned, change):
    guest = private()
    assert len(present(planned)) == 1
    driver_contract.CHANGES[change](guests.driver, claim_on(guest))
    assert present(planned) == []


@needs_veth
def test_a_private_network_that_cannot_be_made_leaves_nothing(
        guests, private, planned, root, monkeypatch):
    guests.driver.destroy(claim_on(private()))
    real = network.guest_commands
    monkeypatch.setattr(
        network, 'guest_commands',
        lambda *args: [*real(*args), ['ip', 'link', 'set', 'nothing', 'up']])
    with pytest.raises(exception.DriverError, match='nothing') as caught:
        guests.spawn(network='private')
    assert '\n' not in str(caught.value)
    assert left_of(root) == []
    assert processes_of(root) == []
    assert len(planned) == 2
    assert present(planned) == []


@needs_veth
def test_a_missing_ip_program_is_named(guests, root, monkeypatch):
    monkeypatch.setattr(network, '_SYSTEM_PATH', str(root))
    with pytest.raises(exception.DriverError, match='install iproute2'):
        guests.spawn(network='private')
    assert left_of(root) == []


# -- bytes of an interface

EXPERIMENTAL = 0x88b5.to_bytes(2, 'big')    # no host answers it
# Sends each frame back; a frame has 100 bytes with its header.
ECHO = python(
    "import socket; p = socket.socket(socket.AF_PACKET, socket.SOCK_RAW,"
    "0xb588); p.bind(('eth0', 0x88b5));"
    "open('/proc/sys/net/ipv6/conf/eth0/disable_ipv6', 'w').write('1');"
    "print('up', flush=True);"
    '[p.send(p.recv(2000)) for _ in iter(int, 1)]')


def send_frames(device, count, size=100):
    """Send frames to which only the guest replies."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind((device, 0))
        for _ in range(count):
            sender.send(b'\xff' * 6 + bytes(6) + EXPERIMENTAL +
                        bytes(size - 14))


@pytest.fixture
def echo(guests, private, planned):
    """Return a guest that sends frames back, and its host interface."""
    guest = private(ECHO)
    # IPv6 sends packets of its own when a link comes up.
    path = pathlib.Path(f'/proc/sys/net/ipv6/conf/{planned[-1]}')
    if path.exists():
        (path / 'disable_ipv6').write_text('1')
    guests.wait_for_output(guest, 'up')
    return guest, planned[-1]


@needs_veth
def test_bytes_are_counted_exactly_in_the_direction_of_the_guest(
        guests, echo):
    guest, device = echo
    [before] = guests.driver.interface_counters([guest])
    [interface] = guests.info(guest).details['interfaces']
    assert (before.uuid, before.device, before.mac_address) == (
        guest, interface['device'], interface['mac'])
    send_frames(device, 7)
    sent_back = waiting.wait_for(
        lambda: (found := guests.driver.interface_counters()[0]).tx_packets
        == before.tx_packets + 7 and found)
    assert sent_back.rx_bytes - before.rx_bytes == 700
    assert sent_back.tx_bytes - before.tx_bytes == 700
    assert sent_back.rx_packets - before.rx_packets == 7
    assert sent_back.epoch == before.epoch


@needs_veth
def test_counters_restart_with_each_start_and_end_with_the_guest(
        guests, private):
    guest = private()
    [before] = guests.driver.interface_counters([guest])
    guests.driver.reboot(claim_on(guest), True, 0)
    [after] = guests.driver.interface_counters([guest])
    assert after.epoch != before.epoch
    assert after.mac_address == before.mac_address
    guests.driver.pause(claim_on(guest))
    [paused] = guests.driver.interface_counters([guest])
    assert paused.epoch == after.epoch
    guests.driver.power_off(claim_on(guest), 0)
    assert guests.driver.interface_counters([guest]) == []


@needs_veth
def test_a_run_of_an_earlier_boot_has_no_counters(guests, private):
    guest = private()
    run = guests.run(guest)
    guests.replace_run(guest, boot_id='another')
    assert guests.driver.interface_counters([guest]) == []
    guests.replace_run(guest, **{
        **run, 'start_time': run['start_time'] + 1,
        'shim_start_time': run['shim_start_time'] + 1})
    assert guests.driver.interface_counters([guest]) == []
    guests.replace_run(guest, **run)
    assert len(guests.driver.interface_counters([guest])) == 1


@needs_veth
def test_damage_in_one_folder_hides_no_other_guests_counters(
        guests, private, root):
    damaged, good = private(), private()
    run = guests.run(damaged)
    (root / damaged / 'run.json').write_text('?')
    [found] = guests.driver.interface_counters()
    assert found.uuid == good
    (root / damaged / 'run.json').write_text(json.dumps(run))
