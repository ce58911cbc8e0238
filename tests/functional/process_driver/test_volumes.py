"""Test what a guest gets of a volume, and what can be none."""

import contextlib
import os
import pathlib
import shutil
import stat
import subprocess

import psutil
import pytest

from computed import exception
from computed.virt import process
from computed.virt.process import volumes
from tests.functional.process_driver import test_isolation as isolation
from tests.support import driver_contract
from tests.support import process_guests as real
from tests.support import waiting

claim_on = driver_contract.claim_on
volume_of = driver_contract.volume_of
needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason='only root changes guests that run')

# Says what the guest finds in its volumes, again and again; a word that comes
# back from there shows that it can write.
LOOK = """
while sleep 0.05; do
for one in ../volumes/*; do
test -e "$one" && echo "<$(basename $one) $(head -c 6 $one)>"
echo guest 2>/dev/null 1<>"$one"
done; done
"""


@pytest.fixture
def make(tmp_path_factory):
    """Return a function that makes a file and returns it as a volume."""
    folder = tmp_path_factory.mktemp('volumes').resolve()

    def make(name='volume'):
        (folder / name).write_text('first ' + '-' * 500)
        (folder / name).chmod(0o644)
        return volume_of(folder / name)
    return make


@pytest.fixture
def able(driver):
    if 'volumes' not in driver.capabilities:
        pytest.skip('the kernel refuses mount namespaces')
    return driver


@contextlib.contextmanager
def device_of(path):
    """Make a block device of a file."""
    if os.geteuid() != 0 or not shutil.which('losetup'):
        pytest.skip('takes root and the program losetup')
    os.truncate(path, 1 << 20)
    found = subprocess.run(['losetup', '-f', '--show', path], check=False,
                           capture_output=True, encoding='utf-8')
    if found.returncode:
        pytest.skip(f'no loop device here: {found.stderr}')
    device = found.stdout.strip()
    try:
        yield device
    finally:
        subprocess.run(['losetup', '-d', device], check=True)


def facts(volume):
    found = os.stat(volume.path)
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)


def sees(guests, guest, volume, text):
    guests.wait_for_output(guest, f'<{volume.volume_id} {text}')
    return pathlib.Path(volume.path)


@needs_root
def test_a_guest_that_runs_gets_and_loses_a_volume(guests, able, make):
    guest, volume = guests.spawn(real.shell(LOOK)), make()
    before = facts(volume)
    able.attach_volume(claim_on(guest), volume)
    path = sees(guests, guest, volume, 'first')
    waiting.wait_for(lambda: path.read_text().startswith('guest'))
    uid = psutil.Process(guests.pid(guest)).uids().real
    assert facts(volume) == (uid, uid, 0o600) and uid != 0
    waiting.wait_for(lambda: _detached(able, guest, volume))
    assert facts(volume) == before
    assert volumes.of_guest(able._existing(guest)) == []
    assert os.listdir(f'/proc/{guests.pid(guest)}/root'
                      f'{guests.root}/{guest}/volumes') == []


def _detached(driver, guest, volume):
    """Detach a volume; return whether it was not in use just then."""
    with contextlib.suppress(exception.DriverError):
        driver.detach_volume(claim_on(guest), volume.volume_id)
        return True
    return False


@needs_root
def test_a_volume_in_use_stays(guests, able, make):
    volume = make()
    guest = guests.spawn(real.shell(
        f'until test -e ../volumes/{volume.volume_id}; do sleep 0.05; done; '
        f'exec 5<>../volumes/{volume.volume_id}; echo open; sleep 1000'))
    able.attach_volume(claim_on(guest), volume)
    guests.wait_for_output(guest, 'open')
    for _ in range(2):
        with pytest.raises(exception.DriverError, match='busy'):
            able.detach_volume(claim_on(guest), volume.volume_id)
    [kept] = volumes.of_guest(able._existing(guest))
    assert kept.volume_id == volume.volume_id
    able.power_off(claim_on(guest), 0)
    able.detach_volume(claim_on(guest), volume.volume_id)


def test_a_guest_has_its_volumes_after_each_start(guests, able, make):
    guest, volume = guests.spawn(real.shell(LOOK)), make()
    able.power_off(claim_on(guest), 0)
    before = facts(volume)
    able.attach_volume(claim_on(guest), volume)
    able.power_on(claim_on(guest))
    path = sees(guests, guest, volume, 'first')
    waiting.wait_for(lambda: path.read_text().startswith('guest'))
    path.write_text('again')
    able.reboot(claim_on(guest), True, 0)
    sees(guests, guest, volume, 'again')
    able.destroy(claim_on(guest))
    assert facts(volume) == before
    assert path.exists()


def test_a_crash_between_two_steps_leaves_what_a_repeat_finishes(
        guests, able, make, monkeypatch):
    guest, volume = guests.spawn(), make()
    able.power_off(claim_on(guest), 0)
    before = facts(volume)

    class Killed(BaseException):
        pass

    def killed(*args):
        raise Killed
    real_detach = volumes.detach
    for step in ('chown', 'chmod'):
        with monkeypatch.context() as broken:
            broken.setattr(volumes, 'detach', killed)
            broken.setattr(os, step, killed)
            with pytest.raises(Killed):
                able.attach_volume(claim_on(guest), volume)
            assert volumes.detach is not real_detach
    able.attach_volume(claim_on(guest), volume)
    with monkeypatch.context() as broken:
        broken.setattr(volumes, '_keep', killed)
        with pytest.raises(Killed):
            able.detach_volume(claim_on(guest), volume.volume_id)
    able.detach_volume(claim_on(guest), volume.volume_id)
    assert facts(volume) == before


def test_a_start_without_a_volume_says_which_one(guests, able, make):
    guest, volume = guests.spawn(), make()
    able.power_off(claim_on(guest), 0)
    able.attach_volume(claim_on(guest), volume)
    os.rename(volume.path, f'{volume.path}.away')
    with pytest.raises(exception.DriverError, match=volume.path):
        able.power_on(claim_on(guest))
    pathlib.Path(volume.path).write_text('another one')
    with pytest.raises(exception.DriverError, match='another thing'):
        able.power_on(claim_on(guest))
    os.rename(f'{volume.path}.away', volume.path)
    able.power_on(claim_on(guest))


# -- what is refused

def refused(driver, guest, path, text):
    with pytest.raises(exception.VolumeUnusable, match=text) as caught:
        driver.attach_volume(claim_on(guest), volume_of(path))
    assert str(path) in str(caught.value)
    assert '\n' not in str(caught.value)
    assert volumes.of_guest(driver._existing(guest)) == []


def test_what_is_no_volume_is_refused(guests, able, make, root):
    guest, other = guests.spawn(), guests.spawn()
    good = pathlib.Path(make().path)
    link, hard = good.with_name('link'), good.with_name('hard')
    link.symlink_to(good)
    through = good.parent.with_name(f'{good.parent.name}-link')
    through.symlink_to(good.parent)
    os.mkfifo(good.with_name('pipe'))
    for path, text in (
            (good.with_name('missing'), 'does not exist'),
            (link, f'it is {good}'), (through / good.name, f'it is {good}'),
            (good.parent, 'a folder'),
            (good.with_name('pipe'), 'neither a file nor'),
            (root / other / 'spec.json', 'belongs to computed'),
            (root / other / 'disk', 'belongs to computed'),
            (root.parent / 'new', 'does not exist'),
            ('/proc/version', 'of the kernel'),
            ('/dev/null', 'neither a file nor')):
        refused(able, guest, path, text)
    os.link(good, hard)
    refused(able, guest, good, 'several names')
    through.unlink()


def test_two_guests_do_not_get_the_same_device(guests, able, make):
    volume = make()
    with device_of(volume.path) as device:
        twin = f'{volume.path}-twin'
        os.mknod(twin, 0o600 | stat.S_IFBLK, os.stat(device).st_rdev)
        guest, other = guests.spawn(), guests.spawn()
        mine = volume_of(device)
        able.attach_volume(claim_on(guest), mine)
        refused(able, other, twin, guest)
        able.detach_volume(claim_on(guest), mine.volume_id)


def test_a_device_that_this_host_uses_is_refused(guests, able, make):
    volume, guest = make(), guests.spawn()
    with device_of(volume.path) as device:
        held = os.open(device, os.O_RDONLY | os.O_EXCL)     # as a mount does
        try:
            refused(able, guest, device, 'for one user alone: Device or')
        finally:
            os.close(held)


def test_a_host_without_mount_namespaces_says_so(plain, make):
    guest = plain.spawn()
    assert 'volumes' not in plain.driver.capabilities
    with pytest.raises(exception.NotSupported, match='mount namespaces'):
        plain.driver.attach_volume(claim_on(guest), make())
    plain.driver.destroy(claim_on(guest))


def attached_by_a_user(folder):
    """Attach and detach without root; return what was said and seen."""
    driver = process.ProcessDriver(real.configured(folder))
    driver.init_host(driver_contract.OWNER)
    if 'volumes' not in driver.capabilities:
        return None
    guests = real.Guests(driver, folder / 'instances')
    path = folder.resolve().with_name('volume')
    path.write_text('first ' + '-' * 500)
    guest, volume, said = guests.spawn(real.shell(LOOK)), volume_of(path), []

    def refused(act, argument):
        with pytest.raises(exception.NotSupported) as caught:
            act(claim_on(guest), argument)
        said.append([len(volumes.of_guest(driver._existing(guest))),
                     str(caught.value)])
    try:
        refused(driver.attach_volume, volume)
        driver.power_off(claim_on(guest), 0)
        driver.attach_volume(claim_on(guest), volume)
        driver.power_on(claim_on(guest))
        sees(guests, guest, volume, 'first')
        refused(driver.detach_volume, volume.volume_id)
    finally:
        driver.destroy(claim_on(guest))
    return said


def test_without_root_a_guest_that_runs_keeps_what_it_has():
    become = isolation.an_ordinary_user if os.geteuid() == 0 else (
        lambda: None)
    with real.folder_for_all() as folder:
        found = real.in_a_fork(become, lambda: attached_by_a_user(folder))
    if found is None:
        pytest.skip('the kernel refuses mount namespaces')
    assert [kept for kept, _ in found] == [0, 1]
    for _, text in found:
        assert 'unless computed runs as root; stop the instance' in text
        assert '\n' not in text


# -- counters

def test_a_file_has_no_counters_of_its_own(guests, able, make):
    if 'block_counters' not in able.capabilities:
        pytest.skip('this host counts nothing')
    guest, volume = guests.spawn(), make()
    able.power_off(claim_on(guest), 0)
    able.attach_volume(claim_on(guest), volume)
    assert able.block_counters() == []      # it is off
    able.power_on(claim_on(guest))
    [found] = able.block_counters([guest])
    assert (found.volume_id, found.rd_bytes, found.wr_bytes) == (
        volume.volume_id, None, None)


def test_the_counters_of_a_device_begin_with_the_attachment(
        guests, able, make):
    if 'block_counters' not in able.capabilities:
        pytest.skip('this host counts nothing')
    volume = make()
    with device_of(volume.path) as device:
        guest = guests.spawn(real.shell(
            'while sleep 0.05; do for one in ../volumes/*; do '
            'dd if="$one" of=/dev/null bs=4096 count=4 iflag=direct && '
            'echo "read $one" && rm -f again && until test -e again; do '
            'sleep 0.05; done; done; done'))
        again = guests.root / guest / 'disk' / 'again'
        epochs = set()
        for _ in range(2):
            mine = volume_of(device)
            able.attach_volume(claim_on(guest), mine)
            guests.wait_for_output(guest, mine.volume_id)
            [found] = able.block_counters([guest])
            assert found.volume_id == mine.volume_id
            assert found.rd_bytes == 4 * 4096
            assert found.rd_req == 4
            assert found.wr_bytes == 0
            epochs.add(found.epoch)
            waiting.wait_for(lambda one=mine: _detached(able, guest, one))
            again.touch()
        assert len(epochs) == 2
