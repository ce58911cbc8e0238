"""What a service knows of itself and of its machine's restarts."""

import pytest

from computed import exception
from computed.service import identity


@pytest.fixture
def boot_id(tmp_path):
    path = tmp_path / 'boot_id'
    path.write_text('first\n')
    return path


def test_a_service_keeps_its_id_and_gets_a_new_boot_id(tmp_path, boot_id):
    first = identity.load(tmp_path, boot_id)
    second = identity.load(tmp_path, boot_id)
    assert first.service_id == second.service_id
    assert first.boot_id != second.boot_id
    assert (first.known_host_boot_id, second.known_host_boot_id) == (
        None, 'first')
    assert not first.after_reboot and not second.after_reboot


def test_a_restart_of_the_machine_is_known_until_it_is_dealt_with(
        tmp_path, boot_id):
    identity.load(tmp_path, boot_id)
    boot_id.write_text('second\n')
    for _ in range(2):
        found = identity.load(tmp_path, boot_id)
        assert found.after_reboot
    identity.keep(tmp_path, found)
    assert not identity.load(tmp_path, boot_id).after_reboot


def test_by_default_the_kernel_names_the_start_of_the_machine(tmp_path):
    with open(identity.BOOT_ID, encoding='ascii') as stream:
        assert identity.load(tmp_path).host_boot_id == stream.read().strip()


def test_an_identity_behind_a_link_is_not_used(tmp_path, boot_id):
    (tmp_path / 'other').write_text('{"service_id": "x"}')
    (tmp_path / identity.FILE).symlink_to(tmp_path / 'other')
    with pytest.raises(exception.ConfigError, match='symbolic links'):
        identity.load(tmp_path, boot_id)


@pytest.mark.parametrize('damage', [
    '', '{"service_id": "', '{}', '[]', 'null', '{"service_id": "x"}',
    '\0' * 90])
def test_a_damaged_identity_is_refused_and_left_as_it_is(
        tmp_path, boot_id, damage):
    (tmp_path / identity.FILE).write_text(damage)
    with pytest.raises(exception.FileDamaged) as caught:
        identity.load(tmp_path, boot_id)
    assert str(caught.value).startswith(
        f'{tmp_path / identity.FILE} is damaged: ')
    assert 'Restore it from a backup' in str(caught.value)
    assert '\n' not in str(caught.value)
    assert (tmp_path / identity.FILE).read_text() == damage


def test_an_identity_that_has_not_changed_is_not_written_again(
        tmp_path, boot_id):
    first = identity.load(tmp_path, boot_id)
    before = (tmp_path / identity.FILE).stat().st_ino
    assert identity.load(tmp_path, boot_id).service_id == first.service_id
    assert (tmp_path / identity.FILE).stat().st_ino == before


def test_a_start_removes_what_killed_writes_have_left(tmp_path):
    names = ('service.json.tmp', 'claims/a.json.tmp', 'settled/b.json.tmp',
             'tasks/c.json.tmp')
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True, mode=0o700)
        (tmp_path / name).write_text('{')
    (tmp_path / 'claims' / 'kept.json').write_text('{}')
    identity.tidied(str(tmp_path))
    assert [name for name in names if (tmp_path / name).exists()] == []
    assert (tmp_path / 'claims' / 'kept.json').exists()
