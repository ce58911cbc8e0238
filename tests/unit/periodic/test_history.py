import json
import os

import pytest

from computed import files
from computed import periodic
from computed.periodic import history


def record(task='_task', at=1000.0, **values):
    return history.Record(task=task, started_at=at, **values)


def loaded(folder):
    kept = history.History(folder)
    kept.load()
    return kept


def put(folder, text):
    (folder / 'task-records.json').write_text(text)


def test_a_record_includes_what_the_task_reported():
    run = record()
    run.include(periodic.Report(
        candidates=5, acted=1, recorded=2, lost_races=3, refused=4,
        note='seen'))
    assert (run.candidates, run.acted, run.recorded, run.lost_races,
            run.refused, run.note) == (5, 1, 2, 3, 4, 'seen')


def test_records_survive_a_restart_whole(tmp_path):
    run = record(request_id='req-1', duration=2.5, outcome='error',
                 error='no', candidates=3, note='so', triggered=True,
                 reads={'replica': 2})
    kept = history.History(tmp_path)
    kept.add(run)
    kept.add(record('_other', 7))
    kept.save()
    assert loaded(tmp_path).of('_task') == [run]
    assert loaded(tmp_path).of('_other') == [record('_other', 7)]


def test_the_last_fifty_of_each_task_are_kept(tmp_path):
    kept = history.History(tmp_path)
    for at in range(60):
        kept.add(record(at=at))
    kept.add(record('_other'))
    kept.save()
    for either in (kept, loaded(tmp_path)):
        assert [run.started_at for run in either.of('_task')] == (
            list(range(10, 60)))
        assert len(either.of('_other')) == 1
    assert kept.last('_task').started_at == 59


def test_a_task_that_never_ran_has_no_records(tmp_path):
    kept = history.History(tmp_path)
    assert (kept.of('_task'), kept.last('_task')) == ([], None)


def test_the_first_start_is_no_reason_to_warn(tmp_path, caplog):
    assert loaded(tmp_path).of('_task') == []
    assert caplog.text == ''


@pytest.mark.parametrize('content', [
    '', '{"_task": [{"task": "_task", "star', '[]', '7', 'null',
    '{"_task": 5}', '{"_task": [5]}', '{"_task": [{"task": "_task"}]}',
    '{"_task": [{"task": "_task", "started_at": "then"}]}',
    '{"_task": [{"task": "_task", "started_at": null}]}',
    '[' * 100000,
])
def test_a_file_that_makes_no_sense_costs_one_warning(
        tmp_path, caplog, content):
    put(tmp_path, content)
    kept = loaded(tmp_path)
    assert kept.of('_task') == []
    assert [line.levelname for line in caplog.records] == ['WARNING']
    assert 'task-records.json' in caplog.text
    kept.add(record())
    kept.save()
    assert (tmp_path / 'task-records.json').read_text() == content
    (tmp_path / 'task-records.json').rename(tmp_path / 'aside')
    kept.save()
    assert loaded(tmp_path).of('_task') == [record()]


def test_a_path_that_cannot_be_read_costs_one_warning(tmp_path, caplog):
    (tmp_path / 'task-records.json').mkdir()
    assert loaded(tmp_path).of('_task') == []
    assert [line.levelname for line in caplog.records] == ['WARNING']


def test_what_a_newer_version_added_is_ignored(tmp_path):
    put(tmp_path, '{"_task": [{"task": "_task", "started_at": 5, '
                  '"moon": "full"}]}')
    assert loaded(tmp_path).of('_task') == [record(at=5)]


def test_nothing_is_written_without_news(tmp_path):
    kept = history.History(tmp_path)
    kept.save()
    assert not kept.unsaved
    assert os.listdir(tmp_path) == []
    kept.add(record())
    assert kept.unsaved
    kept.save()
    assert not kept.unsaved


def test_the_folder_is_made(tmp_path):
    kept = history.History(tmp_path / 'deep' / 'down')
    kept.add(record())
    kept.save()
    assert loaded(tmp_path / 'deep' / 'down').of('_task') == [record()]


def test_a_full_disk_is_told_once_a_minute_and_costs_nothing_saved(
        tmp_path, caplog, monkeypatch, minutes):
    def full(path, value):
        raise OSError(28, 'No space left on device')

    kept = history.History(tmp_path)
    kept.add(record())
    kept.save()
    with monkeypatch.context() as disk:
        disk.setattr(files, 'write_json', full)
        for at in (1, 2, 3):
            kept.add(record(at=at))
            kept.save()
            assert kept.unsaved
            minutes.now += 30
    assert [record.getMessage().partition(':')[0]
            for record in caplog.records] == [
        'Records of task runs cannot be written. The tasks run on, but a '
        'restart loses the records',
        'Records of task runs could not be written for 60 s']
    assert 'No space left' in caplog.text
    assert len(loaded(tmp_path).of('_task')) == 1
    kept.save()
    assert len(loaded(tmp_path).of('_task')) == 4
    assert caplog.records[-1].getMessage() == (
        'Records of task runs are written again after 90 s.')
    minutes.now += 30
    with monkeypatch.context() as disk:
        disk.setattr(files, 'write_json', full)
        kept.add(record())
        kept.save()
    assert len(caplog.records) == 4, 'a new outage is news'


def test_a_record_that_is_no_json_costs_one_warning(tmp_path, caplog):
    kept = history.History(tmp_path)
    kept.add(record(note=object()))
    kept.save()
    assert len(caplog.records) == 1
    assert kept.of('_task')


def test_the_file_is_plain_json(tmp_path):
    kept = history.History(tmp_path)
    kept.add(record())
    kept.save()
    with open(tmp_path / 'task-records.json') as stream:
        assert json.load(stream)['_task'][0]['outcome'] == 'ok'
