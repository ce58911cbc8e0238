"""Files are written on a disk without any room."""

import errno
import os
import threading

import pytest

from computed import files
from tests.support import small_disk

COUNT = 4


def filled(folder, count=COUNT):
    found = files.Reserve(str(folder / 'reserve'), count)
    found.fill()
    return found


def spares(folder):
    return sorted(os.listdir(folder / 'reserve'))


def on_full(tmp_path, job):
    """Run ``job(reserve)`` on a full disk that has ``new`` and ``old``."""
    def life():
        reserve = filled(tmp_path)
        files.write_json(f'{tmp_path}/old', 'old', reserve=reserve)
        small_disk.fill(tmp_path)
        result = job(reserve)
        small_disk.assert_full(tmp_path)
        return result
    return small_disk.on_a_small_disk(tmp_path, 1, life)


@small_disk.needs_root
def test_a_full_disk_takes_new_files_and_new_contents(tmp_path):
    def job(reserve):
        for number in range(20):    # many more than the reserve has
            for name in ('old', 'new'):
                files.write_json(f'{tmp_path}/{name}', [name, number],
                                 reserve=reserve)
                assert files.read_json(f'{tmp_path}/{name}') == [name, number]
            files.remove(f'{tmp_path}/new', reserve=reserve)
        return spares(tmp_path)
    assert on_full(tmp_path, job) == ['00', '01', '02', '03']


@small_disk.needs_root
def test_threads_share_the_reserve(tmp_path):
    def job(reserve):
        def write(name):
            for number in range(30):
                files.write_json(f'{tmp_path}/{name}', number,
                                 reserve=reserve)
                files.remove(f'{tmp_path}/{name}', reserve=reserve)
        threads = [threading.Thread(target=write, args=[name])
                   for name in 'abcd']
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        return spares(tmp_path)
    assert on_full(tmp_path, job) == ['00', '01', '02', '03']


@small_disk.needs_root
def test_an_exhausted_reserve_is_the_error_of_the_disk(tmp_path):
    def job(reserve):
        for number in range(COUNT):
            files.write_json(f'{tmp_path}/{number}', number, reserve=reserve)
        with pytest.raises(OSError) as caught:
            files.write_json(f'{tmp_path}/more', 1, reserve=reserve)
        assert not os.path.exists(tmp_path / 'more')
        # It is filled again as soon as there is room.
        os.unlink(tmp_path / 'filler')
        files.write_json(f'{tmp_path}/old', 2, reserve=reserve)
        full = spares(tmp_path)
        small_disk.fill(tmp_path)
        return caught.value.errno, full
    assert on_full(tmp_path, job) == [
        errno.ENOSPC, ['00', '01', '02', '03']]


@pytest.mark.parametrize('size', [0, 100])
def test_a_file_that_a_killed_process_left_short_is_made_whole(
        tmp_path, size):
    filled(tmp_path)
    os.truncate(tmp_path / 'reserve' / '01', size)
    filled(tmp_path)
    assert {os.path.getsize(tmp_path / 'reserve' / name)
            for name in spares(tmp_path)} == {8192}


def test_without_need_nothing_is_taken_or_kept(tmp_path):
    reserve = filled(tmp_path)
    before = [os.stat(tmp_path / 'reserve' / name).st_ino
              for name in spares(tmp_path)]
    files.write_json(f'{tmp_path}/a', 1, reserve=reserve)
    files.remove(f'{tmp_path}/a', reserve=reserve)
    assert [os.stat(tmp_path / 'reserve' / name).st_ino
            for name in spares(tmp_path)] == before
    assert len(before) == COUNT
