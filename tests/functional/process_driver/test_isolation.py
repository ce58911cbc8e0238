"""Test what a guest cannot see, reach, use up or survive."""

import json
import os
import pathlib
import signal
import subprocess
import uuid

import psutil
import pytest

from computed import exception
from computed import states
from computed.virt import process
from computed.virt.process import isolation
from computed.virt.process.shim import system
from tests.support import driver_contract
from tests.support import process_guests as real
from tests.support import waiting

claim_on = driver_contract.claim_on
needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason='only root gives guests users of their own')

LOOK = """
import json, os

def tried(job, *args):
    try:
        return str(job(*args))
    except OSError as error:
        return error.strerror

status = dict(line.rstrip().split(':', 1)
              for line in open('/proc/self/status'))
for path in ('own', os.environ['HOME'] + '/own too', '/tmp/@mark@'):
    tried(open, path, 'w')
print(json.dumps({
    'uids': os.getresuid(), 'gids': os.getresgid(), 'groups': os.getgroups(),
    'capabilities': [int(status[name], 16) for name in (
        'CapInh', 'CapPrm', 'CapEff', 'CapAmb')],
    'bounding': int(status['CapBnd'], 16),
    'no_new_privs': int(status['NoNewPrivs']),
    'namespaces': {name: os.readlink('/proc/self/ns/' + name)
                   for name in ('mnt', 'pid', 'ipc')},
    'state': tried(os.listdir, '@state@'),
    'guests': tried(os.listdir, '@state@/instances'),
    'other': tried(os.listdir, '@state@/instances/@other@'),
    'socket': tried(open, '@state@/rpc/socket'),
    'shadow': tried(open, '/etc/shadow'),
    'usr': tried(open, '/usr/new', 'w'),
    'daemon': tried(os.kill, @daemon@, 0),
    'neighbour': tried(os.kill, @neighbour@, 0),
    'setuid': tried(os.setuid, 0)}), flush=True)
import time
time.sleep(1000)
"""


def isolation_of(root):
    return isolation.measure(real.configured(root.parent))


def look(guests, root):
    """Return what a guest can do; another guest runs beside it."""
    (root.parent / 'rpc').mkdir(exist_ok=True)
    (root.parent / 'rpc' / 'socket').touch(mode=0o600)
    other = guests.spawn()
    script = LOOK
    for name, value in {
            'state': root.parent, 'other': other, 'daemon': os.getpid(),
            'neighbour': guests.pid(other), 'mark': other}.items():
        script = script.replace(f'@{name}@', str(value))
    guest = guests.spawn(f'{real.PYTHON} -S - <<"END"\n{script}\nEND')
    seen = waiting.wait_for(lambda: next((
        json.loads(line) for line in guests.driver.console_log(
            guest, 20000).splitlines() if line.startswith('{')), None))
    on_host = pathlib.Path(f'/tmp/{other}')
    seen['on_host'] = on_host.exists()
    on_host.unlink(missing_ok=True)
    assert real.is_alive(guests.pid(other))
    assert (root / guest / 'disk' / 'own').exists()
    return {**seen, 'neighbour_uid': psutil.Process(
        guests.pid(other)).uids().real, 'own_too': (
            root / guest / 'disk' / 'own too').exists(),
        'mark': str(on_host), 'guest': guest}


@needs_root
def test_a_guest_is_neither_root_nor_another_guest(guests, root):
    seen = look(guests, root)
    [uid] = set(seen['uids'])
    assert uid in isolation.parse_uids('61184-65519')
    assert seen['gids'] == [uid] * 3
    assert seen['groups'] in ([], [uid])
    assert uid != seen['neighbour_uid']
    assert seen['capabilities'] == [0] * 4
    assert seen['bounding'] == 0
    assert seen['no_new_privs'] == 1
    assert seen['setuid'] == 'Operation not permitted'
    assert seen['shadow'] == 'Permission denied'
    for name in ('usr', 'socket', 'other', 'daemon', 'neighbour'):
        assert seen[name] in ('Permission denied', 'No such process',
                              'No such file or directory',
                              'Operation not permitted',
                              'Read-only file system'), name


def assert_shut_in(seen):
    assert seen['capabilities'] == [0] * 4
    assert seen['state'] == "['instances']"
    assert seen['guests'] == f"['{seen['guest']}']"
    assert seen['other'] == seen['socket'] == 'No such file or directory'
    assert seen['usr'] == 'Read-only file system'
    assert seen['daemon'] == seen['neighbour'] == 'No such process'
    assert seen['own_too'] and not seen['on_host']
    for name, link in seen['namespaces'].items():
        assert link != os.readlink(f'/proc/self/ns/{name}')


def test_a_guest_sees_its_own_files_and_processes_only(guests, root):
    if not isolation_of(root).own_proc:
        pytest.skip('the kernel refuses namespaces')
    assert_shut_in(look(guests, root))


# -- nothing of a guest stays

ESCAPE = """
(env -i setsid sh -c 'env -i setsid sleep {mark} & sleep {mark}' &)
sleep 0.3
kill -9 $PPID 1
{then}
"""


def sleepers(mark):
    """Return the live processes with the mark in their command."""
    return [one.pid for one in psutil.process_iter(['cmdline', 'status'])
            if one.info['cmdline'] == ['sleep', mark]
            and one.info['status'] != psutil.STATUS_ZOMBIE]


def escaping(guests, then='sleep 1000'):
    """Return a guest that tries to leave processes, and their mark."""
    mark = str(1000 + uuid.uuid4().int % 10 ** 9)
    guest = guests.spawn(ESCAPE.format(mark=mark, then=then))
    waiting.wait_for(lambda: len(sleepers(mark)) == 2)
    return guest, mark


@needs_root
@pytest.mark.parametrize('kernel', ['namespaces', 'no namespaces'])
def test_no_process_outlives_its_guest(guests, request, kernel):
    if kernel == 'no namespaces':
        guests = request.getfixturevalue('plain')
    guest, mark = escaping(guests)
    shim = guests.run(guest)['shim_pid']
    guests.driver.pause(claim_on(guest))
    assert {real.state_of(pid) for pid in sleepers(mark)} == {
        psutil.STATUS_STOPPED}
    assert real.is_alive(shim)
    guests.driver.destroy(claim_on(guest))
    assert sleepers(mark) == []


@needs_root
@pytest.mark.parametrize('kernel', ['namespaces', 'no namespaces'])
def test_no_process_outlives_the_end_of_the_command(guests, request, kernel):
    if kernel == 'no namespaces':
        guests = request.getfixturevalue('plain')
    guest, mark = escaping(guests, then='read wait < /dev/zero')
    os.kill(guests.pid(guest), signal.SIGKILL)
    waiting.wait_for(lambda: not sleepers(mark))
    assert guests.wait_for_end(guest).exit_code == -signal.SIGKILL


def test_the_kernel_ends_a_guest_with_its_shim(guests, root):
    if not isolation_of(root).process_namespace:
        pytest.skip('the kernel refuses process namespaces')
    guest = real.spawn_tree(guests, root)
    os.kill(guests.run(guest)['shim_pid'], signal.SIGKILL)
    waiting.wait_for(lambda: not real.processes_of(root / guest))
    info = guests.wait_for_end(guest)
    assert (info.power_state, info.reason) == (
        states.SHUTDOWN, 'exit code unknown')


# -- limits

HOG = """
import subprocess, sys
child = 'x = bytearray(60 << 20); print(len(x), flush=True); input()'
for _ in range(8):
    subprocess.Popen([sys.executable, '-S', '-c', child],
                     stdin=subprocess.PIPE, stdout=subprocess.PIPE
                     ).stdout.readline()
print('all', flush=True)
"""
FORKS = """
import os, time
try:
    for count in range(100):
        if os.fork() == 0:
            time.sleep(1000)
except OSError as error:
    print(count, error.strerror, flush=True)
time.sleep(1000)
"""


def script(text):
    return f'{real.PYTHON} -S - <<"END"\n{text}\nEND'


@needs_root
def test_the_memory_of_a_guest_is_limited_as_a_whole(guests, root):
    if 'memory' not in isolation_of(root).controllers:
        pytest.skip('no control group limits memory here')
    guest = guests.spawn(script(HOG) + '\nsleep 1000', memory_mb=256)
    # Each of its processes may have more than the kernel lets them have.
    [path] = [path for path in guests.run(guest)['cgroups']
              if os.path.exists(f'{path}/memory.limit_in_bytes')
              or os.path.exists(f'{path}/memory.max')]
    events = pathlib.Path(path) / (
        'memory.events' if os.path.exists(f'{path}/memory.max')
        else 'memory.oom_control')
    waiting.wait_for(lambda: dict(
        line.split() for line in events.read_text().splitlines()
        )['oom_kill'] != '0')


@needs_root
@pytest.mark.parametrize('kernel', ['namespaces', 'no namespaces'])
def test_the_processes_of_a_guest_are_limited(
        make_driver, driver, root, request, kernel):
    if kernel == 'no namespaces':
        request.getfixturevalue('plain')
    guests = real.Guests(make_driver(guest_processes_per_vcpu=20), root)
    guest = guests.spawn(script(FORKS), vcpus=1)
    output = guests.wait_for_output(guest, 'unavailable')
    assert int(output.split()[0]) < 20


def test_a_guest_whose_limits_are_not_kept_is_refused_if_so_wished(
        make_driver, driver, root):
    guests = real.Guests(make_driver(require_limits=True), root)
    with pytest.raises(exception.NotSupported, match='1 GiB of disk'):
        guests.spawn()
    assert real.left_of(root) == []


# -- less than all

@needs_root
def test_a_guest_runs_as_root_only_if_the_operator_says_so(
        make_driver, driver, root, caplog):
    guests = real.Guests(make_driver(guests_run_as_root=True), root)
    assert 'they run as root with all capabilities' in caplog.text
    guest = guests.spawn()
    assert psutil.Process(guests.pid(guest)).uids().real == 0
    # If the option goes, the guest is no more started as root.
    guests.driver.power_off(claim_on(guest), 0)
    with pytest.raises(exception.DriverError, match='user id of its own'):
        driver.power_on(claim_on(guest))


def an_ordinary_user():
    os.setgroups([])
    os.setresgid(real.A_USER, real.A_USER, real.A_USER)
    os.setresuid(real.A_USER, real.A_USER, real.A_USER)


def a_user_in_a_container():
    """Become an ordinary user who cannot make namespaces."""
    pid, (wait, go) = os.getpid(), os.pipe()
    helper = os.fork()
    if helper == 0:     # the rights to do this are lost with "unshare"
        os.close(go)    # it reads the end if what follows fails
        if not os.read(wait, 1):
            os._exit(1)
        for name in ('uid_map', 'gid_map'):
            pathlib.Path(f'/proc/{pid}/{name}').write_text(
                f'0 0 1\n{real.A_USER} {real.A_USER} 1\n')
        os._exit(0)
    system.call('unshare', system.CLONE_NEWUSER)
    os.write(go, b'g')
    os.waitpid(helper, 0)
    pathlib.Path('/proc/sys/user/max_user_namespaces').write_text('0')
    an_ordinary_user()


def root_in_a_container():
    """Become root without the capability that namespaces take."""
    sys_admin = 21
    system.call('prctl', system.PR_CAPBSET_DROP, sys_admin, 0, 0, 0)


def life_of_a_guest(folder):
    """Start, look, try to escape, delete; return what is to be judged."""
    driver = process.ProcessDriver(real.configured(folder))
    driver.init_host(driver_contract.OWNER)
    guests = real.Guests(driver, folder / 'instances')
    seen = look(guests, guests.root)
    state = guests.info(seen['guest']).power_state
    mark = None
    if isolation_of(guests.root).process_namespace or os.geteuid() == 0:
        _, mark = escaping(guests)
    for guest in driver.list_instances().instances:
        driver.destroy(claim_on(guest))
    return {**seen, 'state_of': state, 'left': mark and sleepers(mark),
            'marked': len(real.processes_of(guests.root)),
            'missing': ' '.join(driver.shortcomings())}


@needs_root
@pytest.mark.parametrize('become, missing', [
    (an_ordinary_user, f'the user of the daemon (uid {real.A_USER})'),
    (a_user_in_a_container, 'no process namespaces'),
    (root_in_a_container, 'no process namespaces')])
def test_what_a_host_lacks_is_said_and_guests_run_with_the_rest(
        become, missing):
    if become is a_user_in_a_container and subprocess.run(
            ['unshare', '--user', 'true'], capture_output=True).returncode:
        pytest.skip('the kernel refuses user namespaces, as in a chroot')
    with real.folder_for_all() as folder:
        seen = real.in_a_fork(become, lambda: life_of_a_guest(folder))
    assert missing in seen['missing']
    assert seen['state_of'] == states.RUNNING
    assert not seen['left'] and not seen['marked']
    assert not os.path.exists(seen['mark'])
    assert seen['capabilities'] == [0] * 4
    assert seen['no_new_privs'] == 1
    if become is an_ordinary_user:
        assert_shut_in(seen)
    if become is root_in_a_container:
        assert 0 not in seen['uids']
        assert seen['socket'] == seen['other'] == 'Permission denied'
