import errno
import json
import os
import shutil
import uuid

import pytest

from computed import exception
from computed.virt import driver
from computed.virt.process import console
from computed.virt.process import folder
from computed.virt.process import listing
from computed.virt.process import network
from tests.support import driver_contract

GUEST = '6d1e3a52-5d0f-4b7e-9f0e-0c8a4b1f7a11'
SPEC = driver.InstanceSpec(
    uuid=GUEST, name='guest', command='true', vcpus=1, memory_mb=64,
    disk_gb=1, network='private')
RECORD = folder.Record(spec=SPEC, owner=driver_contract.OWNER,
                       interface=network.plan(GUEST, []),
                       uid=os.geteuid() or 1234)
RUN = {'boot_id': 'b', 'pid': 2, 'start_time': 20, 'shim_pid': 1,
       'shim_start_time': 10, 'started_at': '2026-01-01T00:00:00Z'}


@pytest.fixture
def guest(tmp_path):
    found = folder.Folder(str(tmp_path), GUEST)
    found.create(RECORD)
    return found


def write(guest, name, value):
    with open(guest[name], 'w', encoding='utf-8') as file:
        json.dump(value, file)


def test_a_guest_is_read_as_it_was_written(guest):
    assert guest.record() == RECORD
    assert guest.owner() == driver_contract.OWNER
    assert listing.uuids(guest.root) == [GUEST]


def test_a_new_guest_has_no_history(guest):
    assert (guest.run(), guest.ending(), guest.stopping()) == (
        None, None, None)
    assert console.tail(guest, 100) == ''


def test_a_removed_guest_is_absent_and_a_second_removal_succeeds(guest):
    for _ in range(2):
        guest.remove()
        assert not guest.exists()
    assert listing.uuids(guest.root) == []


@pytest.mark.parametrize('name', ['', 'x', '../' + GUEST, GUEST.upper()])
def test_only_a_uuid_names_a_guest(tmp_path, name):
    with pytest.raises(exception.GuestNotFound):
        folder.Folder(str(tmp_path / 'root'), name)


def test_a_run_and_its_end_have_the_same_identity(guest):
    write(guest, 'run.json', RUN)
    write(guest, 'exit.json', {
        'boot_id': 'b', 'pid': 2, 'start_time': 20, 'code': -9})
    guest.write_stopping()
    run = guest.run()
    assert guest.stopping() == run.identity
    assert guest.ending() == {**run.identity, 'code': -9}
    guest.forget_stopping()
    assert guest.stopping() is None
    guest.forget_run()
    assert guest.run() is None


def test_a_stop_belongs_to_its_run_and_not_to_the_next(guest):
    write(guest, 'run.json', RUN)
    guest.write_stopping()
    new = guest['run.json.tmp']
    with open(new, 'w', encoding='utf-8') as file:
        json.dump({**RUN, 'pid': 3}, file)
    os.rename(new, guest['run.json'])
    assert guest.stopping()['pid'] == 2
    assert guest.run().main.pid == 3


@pytest.mark.parametrize('value', [[], 'x', {'code': 'x'}, {'code': 0}])
def test_a_damaged_end_is_unknown(guest, value):
    write(guest, 'exit.json', value)
    assert not guest.ending()


@pytest.mark.parametrize('name, read', [
    ('spec.json', 'record'), ('run.json', 'run')])
def test_damage_names_the_file(guest, name, read):
    write(guest, name, {})
    with pytest.raises(exception.DriverError, match=f'{name} is damaged'):
        getattr(guest, read)()


def test_leftovers_are_cleared_and_guests_are_kept(guest, tmp_path):
    for suffix in ('.new', '.deleting'):
        (tmp_path / (GUEST + suffix) / 'disk').mkdir(parents=True)
    (tmp_path / 'lost+found').mkdir()
    listing.clear_leftovers(str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {
        GUEST, 'lost+found'}


def test_what_is_left_of_guests_is_listed_without_links(guest, tmp_path):
    gone, young, live = (str(uuid.uuid4()) for _ in range(3))
    for name in (f'{gone}.deleting', f'{gone}.new', f'{young}.new',
                 live, f'{live}.deleting', 'x.deleting'):
        (tmp_path / name).mkdir()
    (tmp_path / f'{uuid.uuid4()}.deleting').symlink_to(tmp_path)
    os.utime(tmp_path / f'{gone}.new', (1, 1))
    os.utime(tmp_path / f'{gone}.deleting', (1, 1))
    found = listing.leftovers(str(tmp_path))
    assert found.keys() == {gone, young}
    assert found[young] < 1000 < found[gone]


def test_what_cannot_be_removed_stops_no_start(
        tmp_path, monkeypatch, caplog):
    left = tmp_path / f'{GUEST}.deleting'
    left.mkdir()

    def fail(path):
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), path)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, 'rmtree', fail)
        listing.clear_leftovers(str(tmp_path))
    assert left.exists() and str(left) in caplog.text
