import json
import os

import pytest

from computed.claims import journal

ONE, TWO = (f'{number}1111111-2222-4333-8444-555555555555'
            for number in 'ab')


def entry(claim_id):
    """A claim on one instance, under way."""
    return journal.Entry(claim_id, 'stop',
                         (journal.Row('instance', 'u1', 'h1'),))


def test_entries_come_back_as_they_were_written(tmp_path):
    kept = journal.Journal(tmp_path)
    begun = entry(ONE)
    ended = journal.Entry(TWO, 'start', (
        journal.Row('instance', 'u1', 'h1', {'vm_state': 'active'}),
        journal.Row('instance', 'u2', 'h2', {})))
    kept.write(begun)
    kept.write(ended)
    assert journal.Journal(tmp_path).entries() == [begun, ended]


def test_a_later_entry_replaces_the_earlier_of_a_claim(tmp_path):
    kept = journal.Journal(tmp_path)
    kept.write(entry(ONE))
    kept.write(entry(ONE).with_values({'u1': {}}))
    assert [one.ended for one in kept.entries()] == [True]


def test_a_forgotten_claim_is_gone_and_may_be_forgotten_twice(tmp_path):
    kept = journal.Journal(tmp_path)
    kept.write(entry(ONE))
    kept.forget(ONE)
    kept.forget(ONE)
    assert kept.entries() == []


@pytest.mark.parametrize('damage', [
    '{"cla', '[]', '{"strange": 1}', '', 'null', None], ids=str)
def test_a_damaged_entry_hides_no_other_and_is_no_absent_one(
        tmp_path, caplog, damage):
    kept = journal.Journal(tmp_path)
    kept.write(entry(TWO))
    if damage is None:
        (tmp_path / f'{ONE}.json').mkdir()
    else:
        (tmp_path / f'{ONE}.json').write_text(damage)
    for _ in range(2):
        assert kept.entries() == [entry(TWO)]
        assert kept.damaged() == {ONE}
    [line] = caplog.records
    assert f'{tmp_path / ONE}.json' in line.getMessage()
    assert 'neither finished nor released' in line.getMessage()


def test_what_is_acknowledged_while_one_looks_is_no_news(
        tmp_path, caplog, monkeypatch):
    entries = journal.Journal(tmp_path)
    monkeypatch.setattr(os, 'listdir', lambda path: [f'{ONE}.json'])
    assert (entries.entries(), entries.damaged()) == ([], set())
    assert caplog.text == ''


@pytest.mark.parametrize('claim_id', [
    '../service', '/tmp/x', '..', '', 'c1', ONE.upper(), f'{ONE}/../x',
    f'{ONE}\n', None])
def test_an_id_that_is_no_uuid_names_no_file(tmp_path, claim_id):
    entries = journal.Journal(tmp_path / 'claims')
    (tmp_path / 'service.json').write_text('{}')
    entries.forget(claim_id)
    with pytest.raises(ValueError, match='is not a uuid'):
        entries.write(entry(claim_id))
    assert (tmp_path / 'service.json').read_text() == '{}'
    assert sorted(os.listdir(tmp_path)) == ['claims', 'service.json']
    assert os.listdir(tmp_path / 'claims') == []


def test_an_entry_speaks_of_the_claim_that_its_name_says(tmp_path):
    kept = journal.Journal(tmp_path)
    kept.write(entry(ONE))
    values = json.loads((tmp_path / f'{ONE}.json').read_text())
    (tmp_path / f'{ONE}.json').write_text(json.dumps(
        {**values, 'claim_id': '../service'}))
    assert (kept.entries(), kept.damaged()) == ([], {ONE})
