"""Helpers and fixtures for tests of the process driver."""

import codecs
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import traceback

import psutil
import pytest
from oslo_config import cfg

from computed import conf
from computed import exception
from computed import files
from computed import states
from computed.virt import process
from computed.virt.process import cgroups
from computed.virt.process import folder
from computed.virt.process import isolation
from computed.virt.process import network
from tests.support import driver_contract
from tests.support import waiting

claim_on = driver_contract.claim_on


def configured(state_path, **options):
    """Return a configuration with these options of the driver."""
    found = cfg.ConfigOpts()
    conf.register_opts(found)
    found([], project='computed', default_config_files=[],
          default_config_dirs=[])
    found.set_override('state_path', str(state_path))
    for name, value in options.items():
        found.set_override(name, value, 'process')
    return found


def processes_of(folder, markers=('COMPUTED_FOLDER', 'COMPUTED_SHIM'),
                 chosen=lambda process: True):
    """Return every live process with markers of guests below ``folder``.

    It does not use the driver's code, which is under test. Any of them may
    end at any time: what asks a process for more belongs into ``chosen``,
    for which one that has ended is none.

    :param markers: names of variables, any of which marks a process
    :param chosen: whether a process counts
    """
    marked = []
    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            found = one.environ()
            if one.status() != psutil.STATUS_ZOMBIE and any(
                    found.get(name, '').startswith(str(folder))
                    for name in markers) and chosen(one):
                marked.append(one)
    return marked


def guests_of(folder, chosen=lambda process: True):
    """Return the live processes of guests below ``folder``, not their shims.

    :param chosen: as in :func:`processes_of`
    """
    return processes_of(folder, ['COMPUTED_FOLDER'], chosen)


def kill_guests(folder):
    """Kill the guests below ``folder``."""
    for guest in guests_of(folder):
        with contextlib.suppress(psutil.NoSuchProcess):
            guest.kill()


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
    """Return a function that makes a driver, as a restarted daemon does.

    It takes options of the group ``process``.
    """
    made = []

    def make(owner=driver_contract.OWNER, **options):
        driver = process.ProcessDriver(configured(root.parent, **options))
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


# One that every user may run: this one may be in the home of root.
PYTHON = shutil.which('python3', path='/usr/local/bin:/usr/bin') or (
    sys.executable)


def shell(script):
    """Return a command that runs ``script``, which has no single quotes."""
    return f"sh -c '{script}'"


def python(script):
    """Return a command that runs ``script`` with Python."""
    return f'{PYTHON} -S -c "{script}"'


class Guests:
    """Helpers over a driver."""

    def __init__(self, driver, root):
        self.driver = driver
        self.root = root

    def spawn(self, command='sleep 1000', **changed):
        return driver_contract.DriverContract().spawned(
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
    """Return whether a process runs; a zombie does not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def state_of(pid):
    """Return the state of a process, as psutil names it."""
    return psutil.Process(pid).status()


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


@pytest.fixture
def plain(make_driver, root, driver, monkeypatch):
    """Return helpers over a driver whose kernel refuses namespaces."""
    refused = dict.fromkeys(('process_namespace', 'ipc_namespace',
                             'mount_namespace', 'own_proc'), 'refused')
    monkeypatch.setattr(isolation, 'try_all',
                        lambda *args: {'user': None, **refused})
    monkeypatch.setattr(cgroups, 'find', lambda: ())
    return Guests(make_driver(), root)


# Any user id that no user of the system has.
A_USER = 54321


@contextlib.contextmanager
def folder_for_all():
    """Make a folder in which every user may make folders."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o1777)
        yield pathlib.Path(folder) / 'state'


def in_a_fork(become, job, python=PYTHON):
    """Return what ``job`` returns in a process that called ``become``.

    :param python: what that process runs as Python; it may have lost the
        right to read this one
    """
    codecs.lookup('ascii')      # Python loads it when it is first used
    output, input_ = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            become()
            sys.executable = python
            isolation.try_all.cache_clear()
            result = {'result': job()}
        except BaseException:
            result = {'error': traceback.format_exc()}
        os.write(input_, json.dumps(result).encode())
        os._exit(0)
    os.close(input_)
    with open(output, encoding='utf-8') as file:
        found = json.loads(file.read())
    os.waitpid(pid, 0)
    assert 'result' in found, found['error']
    return found['result']


@pytest.fixture
def stranger():
    """Return a process that does not belong to a guest."""
    with subprocess.Popen(['sleep', '1000']) as one:
        yield one
        one.kill()


def groups_of(root):
    """Return the control groups of guests below ``root``."""
    return [path for one in cgroups.find()
            for path in map(str, pathlib.Path(one.path).iterdir())
            if (uuid := os.path.basename(path)[:36]) and files.is_uuid(uuid)
            and cgroups.paths_of(folder.Folder(str(root), uuid),
                                 [one]) == [path]]


def left_of(root):
    """Return the names in the folder of the guests."""
    return [path.name for path in root.iterdir()]


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


needs_veth = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which('ip'),
    reason='takes root and the program ip')


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
def echo(make_driver, root, driver, planned):
    """Return a guest that sends frames back, and its host interface.

    It takes root to send frames.
    """
    guests = Guests(make_driver(guests_run_as_root=True), root)
    guest = guests.spawn(ECHO, network='private')
    # IPv6 sends packets of its own when a link comes up.
    path = pathlib.Path(f'/proc/sys/net/ipv6/conf/{planned[-1]}')
    if path.exists():
        (path / 'disable_ipv6').write_text('1')
    guests.wait_for_output(guest, 'up')
    return guest, planned[-1]


