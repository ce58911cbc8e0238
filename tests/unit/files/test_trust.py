"""No other user can put a file in the place of ours."""

import errno
import grp
import os

import pytest

from computed import files

NOBODY = 65534
MAIL = 8     # a group of services on every Debian
as_root = pytest.mark.skipif(
    os.geteuid() != 0, reason='only root can give a file away')


@pytest.fixture
def state(tmp_path):
    """A state path below another folder."""
    files.make_private(tmp_path / 'above' / 'state')
    return tmp_path / 'above' / 'state'


def test_a_folder_is_made_for_this_user_alone(state):
    before = os.umask(0)
    try:
        files.make_private(state / 'a' / 'b')
    finally:
        os.umask(before)
    assert (state / 'a' / 'b').stat().st_mode & 0o777 == 0o700
    files.make_private(state)


@pytest.mark.parametrize('where', ['.', '..'])
@pytest.mark.parametrize('mode', [0o777, 0o707, 0o770])
def test_a_path_that_others_may_write_is_refused(state, where, mode):
    if mode == 0o770 and os.geteuid() == 0:
        os.chown(state / where, 0, NOBODY)
    elif mode == 0o770:
        pytest.skip('the group is that of this user')
    os.chmod(state / where, mode)
    with pytest.raises(files.Untrusted, match='is writable by other users'):
        files.make_private(state)


def test_a_sticky_folder_leads_to_a_state_path_and_is_none(state):
    os.chmod(state.parent, 0o1777)
    files.make_private(state)
    os.chmod(state, 0o1777)
    with pytest.raises(files.Untrusted, match='is writable by other users'):
        files.make_private(state)


@as_root
@pytest.mark.parametrize('where', ['.', '..'])
def test_a_path_that_belongs_to_others_is_refused(state, where):
    os.chown(state / where, NOBODY, NOBODY)
    with pytest.raises(files.Untrusted, match=f'belongs to user {NOBODY}'):
        files.make_private(state)


def test_a_link_in_the_path_is_followed_if_it_is_ours(state):
    (state / 'link').symlink_to('../state')
    files.make_private(state / 'link' / 'a')
    assert (state / 'a').is_dir()
    os.chmod(state.parent, 0o1777)
    (state.parent / 'link').symlink_to(state)
    files.make_private(state.parent / 'link')


@as_root
def test_a_link_of_others_is_refused(state, tmp_path):
    (state.parent / 'link').symlink_to(state)
    os.chown(state.parent / 'link', NOBODY, NOBODY, follow_symlinks=False)
    with pytest.raises(files.Untrusted, match='link belongs to user'):
        files.make_private(state.parent / 'link')


def test_what_a_link_leads_to_is_checked_too(state, tmp_path):
    (tmp_path / 'open').mkdir()
    os.chmod(tmp_path / 'open', 0o777)
    (state / 'link').symlink_to(tmp_path / 'open')
    with pytest.raises(files.Untrusted, match='open is writable by other'):
        files.make_private(state / 'link' / 'a')


def test_links_that_go_round_end(state):
    (state / 'a').symlink_to('b')
    (state / 'b').symlink_to('a')
    with pytest.raises(OSError, match='symbolic links'):
        files.make_private(state / 'a')


@pytest.mark.parametrize('write', [
    lambda path: files.write_json(f'{path}.json', {'a': 1}),
    lambda path: os.close(files.open_private(
        f'{path}.json.tmp', os.O_RDWR | os.O_CREAT)),
    lambda path: files.read_json(f'{path}.json.tmp')])
def test_a_link_to_a_file_is_not_followed(state, tmp_path, write):
    (tmp_path / 'secret').write_text('"secret"')
    (state / 'a.json.tmp').symlink_to(tmp_path / 'secret')
    try:
        assert write(state / 'a') is None
    except OSError as error:
        assert error.errno == errno.ELOOP
    assert (tmp_path / 'secret').read_text() == '"secret"'


def test_a_new_file_is_for_this_user_alone(state):
    before = os.umask(0)
    try:
        files.write_json(state / 'a', 1)
    finally:
        os.umask(before)
    assert (state / 'a').stat().st_mode & 0o777 == 0o600


@as_root
def test_a_file_of_others_is_not_used(state):
    (state / 'a').write_text('{"evil": 1}')
    os.chown(state / 'a', NOBODY, NOBODY)
    with pytest.raises(files.Untrusted, match='a belongs to user'):
        files.read_json(state / 'a')


def test_a_pipe_is_not_waited_for(state):
    os.mkfifo(state / 'a')
    with pytest.raises(files.Untrusted, match='is not a plain file'):
        files.read_json(state / 'a')


# -- files that others name

@pytest.fixture(params=['log', 'database'])
def used(request):
    """How the file of a log or of a database is taken."""
    return {'log': files.make_log, 'database': files.ensure_private}[
        request.param]


def test_a_file_of_ours_is_used(state, used):
    used(state / 'a')
    (state / 'a').touch()
    (state / 'link').symlink_to('a')
    used(state / 'link')


def test_a_file_that_others_may_write_is_not_used(state, used):
    (state / 'a').touch()
    (state / 'link').symlink_to('a')
    os.chmod(state / 'a', 0o666)
    for name in ('a', 'link'):
        with pytest.raises(files.Untrusted, match='a is writable by other'):
            used(state / name)


@as_root
def test_a_file_that_others_own_is_not_used(state, used):
    (state / 'a').touch()
    os.chown(state / 'a', NOBODY, NOBODY)
    with pytest.raises(files.Untrusted, match='a belongs to user'):
        used(state / 'a')


@pytest.mark.parametrize('where', ['.', '..'])
def test_a_file_whose_folder_others_may_write_is_not_used(
        state, used, where):
    os.chmod(state / where, 0o777)
    with pytest.raises(files.Untrusted, match='is writable by other users'):
        used(state / 'a')
    assert not (state / 'a').exists()


@as_root
def test_a_link_that_others_left_in_a_sticky_folder_is_not_followed(
        state, used):
    (state / 'a').touch()
    os.chmod(state.parent, 0o1777)
    (state.parent / 'log').symlink_to(state / 'a')
    os.chown(state.parent / 'log', NOBODY, NOBODY, follow_symlinks=False)
    with pytest.raises(files.Untrusted, match='log belongs to user'):
        used(state.parent / 'log')


def test_a_log_file_is_made_for_this_user_alone(state):
    """So nobody can put one there, not even in a sticky folder."""
    os.chmod(state, 0o1777)
    before = os.umask(0)
    try:
        files.make_log(state / 'a')
    finally:
        os.umask(before)
    assert (state / 'a').stat().st_mode & 0o777 == 0o600
    (state / 'a').write_text('line')
    files.make_log(state / 'a')
    assert (state / 'a').read_text() == 'line'


@as_root
def test_a_log_may_be_where_a_group_of_services_writes(state, monkeypatch):
    """As in /var/log of systems where it belongs to root and to syslog."""
    os.chown(state, 0, MAIL)
    os.chmod(state, 0o775)
    files.make_log(state / 'a')
    with pytest.raises(files.Untrusted, match='is writable by other users'):
        files.ensure_private(state / 'a')
    with pytest.raises(files.Untrusted, match='is writable by other users'):
        files.make_private(state)
    # nogroup is that of a user with a high number
    for group, mode, owner in ((NOBODY, 0o775, 0), (MAIL, 0o777, 0),
                               (MAIL, 0o775, NOBODY)):
        os.chown(state, owner, group)
        os.chmod(state, mode)
        with pytest.raises(files.Untrusted):
            files.make_log(state / 'b')
    os.chown(state, 0, MAIL)
    os.chmod(state, 0o775)
    monkeypatch.setattr(grp, 'getgrgid', lambda number: grp.struct_group(
        ('mail', '', MAIL, ['nobody'])))
    with pytest.raises(files.Untrusted, match='is writable by other users'):
        files.make_log(state / 'b')


def test_a_database_is_not_used_in_a_sticky_folder(state):
    """Others could put files of SQLite beside it."""
    os.chmod(state, 0o1777)
    with pytest.raises(files.Untrusted, match='is writable by other users'):
        files.ensure_private(state / 'a')


def test_a_log_may_be_a_device_or_an_open_descriptor(state):
    files.make_log('/dev/null')
    reader, writer = os.pipe()
    try:
        files.make_log(f'/proc/self/fd/{writer}')
    finally:
        os.close(reader)
        os.close(writer)


@as_root
def test_a_folder_is_of_a_user_if_nobody_else_could_put_it_there(state):
    os.chown(state, NOBODY, NOBODY)
    assert files.is_of(state, NOBODY)
    assert not files.is_of(state, NOBODY - 1)
    # Everybody could make the same folder in a sticky one.
    os.chmod(state.parent, 0o1777)
    assert not files.is_of(state, NOBODY)
    os.chown(state, 0, 0)
    assert files.is_of(state, NOBODY)
    os.chmod(state.parent, 0o755)
    os.chmod(state, 0o1777)
    assert not files.is_of(state, NOBODY)
    os.chmod(state, 0o755)
    os.chmod(state.parent, 0o777)
    assert not files.is_of(state, NOBODY)
