"""One service at a time uses a state path, whatever is removed there."""

import os
import shutil

import pytest

from computed import exception
from computed.service import state_lock


def test_a_state_path_is_locked_until_the_lock_is_closed(tmp_path):
    held = state_lock.take(str(tmp_path / 'state'))
    with pytest.raises(exception.AlreadyRunning):
        state_lock.take(str(tmp_path / 'state'))
    held.close()
    state_lock.take(str(tmp_path / 'state')).close()


def test_a_state_path_that_cannot_be_is_one_line():
    with pytest.raises(exception.ConfigError, match='state_path = /proc/x'):
        state_lock.take('/proc/x')


def test_a_lock_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / 'secret').write_text('root only')
    (tmp_path / state_lock.FILE).symlink_to(tmp_path / 'secret')
    with pytest.raises(exception.ConfigError, match='symbolic links'):
        state_lock.take(str(tmp_path))
    assert (tmp_path / 'secret').read_text() == 'root only'


def test_a_state_path_that_others_may_write_is_refused(tmp_path):
    (tmp_path / 'state').mkdir()
    (tmp_path / 'state').chmod(0o777)
    with pytest.raises(exception.ConfigError,
                       match='is writable by other users. Give another'):
        state_lock.take(str(tmp_path / 'state'))
    assert list((tmp_path / 'state').iterdir()) == []


def test_a_state_path_stays_locked_if_its_file_is_removed(tmp_path):
    held = state_lock.take(str(tmp_path))
    (tmp_path / state_lock.FILE).unlink()
    with pytest.raises(exception.AlreadyRunning):
        state_lock.take(str(tmp_path))
    held.close()
    state_lock.take(str(tmp_path)).close()


def test_another_service_is_named(tmp_path):
    held = state_lock.take(str(tmp_path))
    with pytest.raises(exception.AlreadyRunning, match=f'{os.getpid()}'):
        state_lock.take(str(tmp_path))
    held.close()


def test_a_state_path_that_is_replaced_is_another_one(tmp_path):
    path = tmp_path / 'state'
    held = state_lock.take(str(path))
    assert held.is_at(str(path))
    path.rename(tmp_path / 'old')
    assert not held.is_at(str(path))
    shutil.copytree(tmp_path / 'old', path)
    assert not held.is_at(str(path))
    with state_lock.take(str(path)) as copy:
        assert copy.place != held.place
    held.close()


def test_a_strange_lock_file_tells_no_pid(tmp_path):
    with state_lock.take(str(tmp_path)):
        (tmp_path / state_lock.FILE).write_bytes(b'\xff\x1b[2J' * 9)
        with pytest.raises(exception.AlreadyRunning, match='pid unknown'):
            state_lock.take(str(tmp_path))
