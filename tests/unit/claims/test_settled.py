"""What is remembered of instances, and what is concluded from a row."""

import json
import os
import time

import pytest

from computed import exception
from computed import files
from computed.claims import remembered
from computed.claims import settled
from computed.virt import claim as virt_claim
from tests.support import deployment as fake
from tests.support import fixtures

OWNER = virt_claim.Owner('db', 'here')
UUID = fake.UUID.format(1)
NOW, THEN = 'now', 'then'


def one(**values):
    return remembered.Remembered(**{
        'name': 'web', 'claim_id': 'c2', 'revision': 20, 'incarnation': NOW,
        'vm_state': 'active', **values})


def row(incarnation=NOW, **values):
    made = fake.instance(**{'vm_state': 'stopped', 'revision': 10,
                            'settled_claim_id': 'c1', **values})
    made.origin = fake.context.Origin(
        'primary', 'p', 'strict', 0.1, 30, incarnation)
    return made


@pytest.mark.parametrize('values, known, regressed', [
    ({}, {}, True),
    ({'settled_claim_id': 'c2'}, {}, False),
    ({'claim_id': 'c2'}, {'vm_state': None}, False),
    ({'vm_state': 'active'}, {}, False),
    # The end of the claim is missing.
    ({'claim_id': 'c2'}, {}, True),
    ({}, {'vm_state': None}, True),
    # Written later: only in the same history does it prove anything.
    ({'revision': 21}, {}, False),
    ({'revision': 20}, {}, True),
    ({'revision': 21}, {'incarnation': THEN}, True),
    ({'revision': 21}, {'incarnation': None}, False),
    ({'revision': 21, 'incarnation': None}, {}, True),
    ({'revision': 21, 'settled_claim_id': 'c2'}, {'incarnation': THEN},
     False)], ids=str)
def test_a_row_is_regressed_if_it_lacks_what_is_remembered(
        tmp_path, values, known, regressed):
    found = remembering(tmp_path, **known)
    assert (UUID in found.regressed([row(**values)], 0)) == regressed


def remembering(folder, **known):
    store = remembered.Store(folder, OWNER)
    store.write(UUID, one(**known))
    return settled.Settled(OWNER, store)


def test_what_was_noted_after_the_rows_were_read_is_not_missed():
    moment = [100.0]
    found = settled.Settled(OWNER, clock=lambda: moment[0])
    found.granted(row(revision=20), 'c2', NOW)
    assert found.regressed([row()], 99.0) == {}
    assert found.regressed([row()], 101.0) == {UUID: 'stopped'}
    assert found.forbids(row()), 'but nothing is decided by it'


def test_a_row_of_another_kind_is_never_regressed(tmp_path):
    other = fake.usage()
    assert remembering(tmp_path).regressed([other], 0) == {}


def test_a_release_brings_back_what_was_remembered(tmp_path):
    found = remembering(tmp_path)
    found.granted(row(revision=21), 'c3', NOW)
    assert found.get(UUID).vm_state is None
    # The next run has taken the claim over.
    found.granted(row(revision=22), 'c4', NOW)
    found.released(UUID, 'c4')
    assert found.get(UUID) == one()
    found.released(UUID, 'another')
    assert found.get(UUID) == one()


def test_a_release_brings_back_an_end_whose_answer_was_lost(tmp_path):
    found = remembering(tmp_path)
    found.granted(row(revision=21), 'c3', NOW)
    # The primary has the end of c3, and a later grant shows it.
    later = row(revision=23, settled_claim_id='c3')
    found.granted(later, 'c4', NOW)
    found.released(UUID, 'c4')
    assert found.get(UUID) == one(
        claim_id='c3', revision=23, vm_state='stopped',
        order=remembered.order_of(later))
    # The row is right after a failover, too: in another incarnation.
    assert found.regressed([row(
        'next', revision=24, settled_claim_id='c3')], 0) == {}


def test_after_the_first_release_nothing_is_remembered(tmp_path):
    found = settled.Settled(OWNER, remembered.Store(tmp_path, OWNER))
    found.granted(row(), 'c1', NOW)
    found.released(UUID, 'c1')
    assert found.get(UUID) is None
    assert os.listdir(tmp_path) == []


def test_a_hold_outlives_a_reconciliation_that_fails(tmp_path):
    found = remembering(tmp_path)
    found.hold({UUID: 'stopped'})
    found.granted(row(revision=21), 'c3', NOW)
    found.released(UUID, 'c3')
    with pytest.raises(exception.InstanceRegressed, match='says stopped'):
        found.facts(UUID)


def test_an_end_that_the_primary_knows_nothing_of_is_held(tmp_path):
    found = remembering(tmp_path)
    found.ended(UUID, 'c2', NOW, None, 'stopped')
    assert found.held()[UUID].vm_state == 'stopped'


def test_unless_another_claim_came_later(tmp_path):
    found = remembering(tmp_path)
    found.ended(UUID, 'c1', NOW, None, 'stopped')
    assert found.get(UUID) == one()


def test_an_earlier_end_that_is_told_again_undoes_no_later_memory(tmp_path):
    """The database went back to it before the answer to it was lost."""
    found = remembering(tmp_path)
    found.ended(UUID, 'c1', NOW, row(), 'stopped')
    assert found.get(UUID) == one()
    assert UUID in found.regressed([row()], 0)
    # In the new history it ends only now.
    found.ended(UUID, 'c1', 'later', row(revision=99), 'stopped')
    assert found.get(UUID) == one()


def test_nor_that_of_a_claim_that_is_held_now(tmp_path):
    found = remembering(tmp_path)
    held = row(revision=21, settled_claim_id='c2', claim_id='c3')
    found.granted(held, 'c3', NOW)
    found.ended(UUID, 'c2', NOW, held, 'active')
    assert found.get(UUID).claim_id == 'c3'


def damaged(folder, text):
    """Return the path of a file of an instance that has ``text``."""
    remembering(folder)
    [path] = folder.iterdir()
    path.write_text(text)
    (folder / 'folder.json').mkdir()
    return path


DAMAGE = ['', '{', '[]', 'null', '\0\0']


@pytest.mark.parametrize('damage', DAMAGE)
def test_an_instance_whose_file_is_damaged_is_held(
        tmp_path, damage, caplog):
    path = damaged(tmp_path, damage)
    for _ in range(2):      # by the next run, too
        found = settled.Settled(OWNER, remembered.Store(tmp_path, OWNER))
        with pytest.raises(exception.InstanceUnknown, match='was damaged'):
            found.facts(UUID)
        assert found.forbids(row(revision=99))
        found.review([row(revision=99)], 0)
    [line] = fixtures.complaints(caplog)
    assert str(path) in line.getMessage()
    assert f'instance reconcile {UUID}' in line.getMessage()
    assert (tmp_path / f'{path.name}.damaged').read_text() == damage
    found.accept(row(), NOW)
    assert found.facts(UUID)['vm_state'] == row().vm_state


@pytest.mark.parametrize('damage', DAMAGE)
def test_unless_a_restart_of_the_machine_explains_the_damage(
        tmp_path, damage, caplog):
    path = damaged(tmp_path, damage)
    found = remembered.Store(tmp_path, OWNER, after_reboot=True)
    assert found.read() == {}
    assert 'when the machine went down' in caplog.text
    assert (tmp_path / f'{path.name}.damaged').read_text() == damage
    assert remembered.Store(tmp_path, OWNER).read() == {}


@pytest.mark.parametrize('name, value', [
    ('revision', '20'), ('claim_id', None), ('vm_state', 4),
    ('before', {'name': 'web'}), ('strange', 1)])
def test_so_is_one_with_other_values(tmp_path, name, value):
    remembering(tmp_path)
    [path] = tmp_path.iterdir()
    path.write_text(json.dumps({**json.loads(path.read_text()),
                                name: value}))
    assert remembered.Store(tmp_path, OWNER).read()[UUID].held


@pytest.mark.parametrize('owner', [
    virt_claim.Owner('another', 'here'), virt_claim.Owner('db', 'there')])
def test_files_of_another_database_or_host_do_not_count(tmp_path, owner):
    remembering(tmp_path)
    assert remembered.Store(tmp_path, owner).read() == {}


def test_no_name_leads_out_of_the_folder(tmp_path):
    store = remembered.Store(tmp_path / 'settled', OWNER)
    store.write('../service', one())
    store.write('../service', None)
    assert os.listdir(tmp_path) == ['settled']
    assert store.read() == {}


def test_a_full_disk_keeps_nothing_from_being_remembered(
        tmp_path, monkeypatch, caplog):
    found = remembering(tmp_path)

    def full(*args, **kwargs):
        raise OSError(28, 'No space left on device')
    monkeypatch.setattr(files, 'write_json', full)
    found.hold({UUID: 'stopped'})
    assert UUID in found.held()
    assert 'No space left' in caplog.text
    assert remembered.Store(tmp_path, OWNER).read() == {UUID: one()}


def test_a_deleted_instance_is_forgotten_after_a_while(tmp_path):
    remembering(tmp_path, vm_state='deleted')
    assert UUID in remembered.Store(tmp_path, OWNER).read()
    [path] = tmp_path.iterdir()
    long_ago = time.time() - remembered.KEPT - 60
    os.utime(path, (long_ago, long_ago))
    assert remembered.Store(tmp_path, OWNER).read() == {}
    assert os.listdir(tmp_path) == []


def listed(rows=(), revision=30, incarnation=NOW):
    found = fake.instance_obj.InstanceList(objects=list(rows))
    found.origin = fake.context.Origin(
        'primary', 'p', 'strict', 0.1, revision, incarnation)
    return found


@pytest.mark.parametrize('rows, kept', [
    (listed(), False), (listed(revision=19), True),
    (listed(incarnation=THEN), True)], ids=['same history', 'older', 'other'])
def test_an_instance_that_is_missing_is_forgotten_in_the_same_history_only(
        tmp_path, caplog, rows, kept):
    found = remembering(tmp_path)
    for _ in range(2):
        found.review_all(rows, 0)
    assert (found.get(UUID) is not None) == kept
    assert caplog.text.count('the database says nothing') == kept
    assert list(found.held()) == [UUID] * kept


def test_a_host_that_was_deleted_has_no_list(tmp_path):
    found = remembering(tmp_path)
    found.review_all(listed(revision=None), 0)
    assert found.held() == {}


def test_many_are_one_line(tmp_path, caplog):
    store = remembered.Store(tmp_path, OWNER)
    uuids = [fake.UUID.format(number) for number in '0123456789ab']
    for uuid in uuids:
        store.write(uuid, one(name=f'n{uuid[-1]}'))
    found = settled.Settled(OWNER, store)
    found.hold(dict.fromkeys(uuids, 'stopped'))
    [said] = [record.getMessage() for record in caplog.records]
    assert '12 instances are held' in said
    assert 'n9 ...' in said
