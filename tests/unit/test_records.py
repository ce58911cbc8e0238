import json
import os

import pytest

from computed import files
from computed import periodic
from computed import records


def record(task='_task', at=1000.0, **values):
    return records.Record(task=task, started_at=at, **values)


def loaded(folder):
    history = records.History(folder)
    history.load()
    return history


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
    history = records.History(tmp_path)
    history.add(run)
    history.add(record('_other', 7))
    history.save()
    assert loaded(tmp_path).of('_task') == [run]
    assert loaded(tmp_path).of('_other') == [record('_other', 7)]


def test_the_last_fifty_of_each_task_are_kept(tmp_path):
    history = records.History(tmp_path)
    for at in range(60):
        history.add(record(at=at))
    history.add(record('_other'))
    history.save()
    for kept in (history, loaded(tmp_path)):
        assert [run.started_at for run in kept.of('_task')] == (
            list(range(10, 60)))
        assert len(kept.of('_other')) == 1
    assert history.last('_task').started_at == 59


def test_a_task_that_never_ran_has_no_records(tmp_path):
    history = records.History(tmp_path)
    assert (history.of('_task'), history.last('_task')) == ([], None)


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
    history = loaded(tmp_path)
    assert history.of('_task') == []
    assert [line.levelname for line in caplog.records] == ['WARNING']
    assert 'task-records.json' in caplog.text
    history.add(record())
    history.save()
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
    history = records.History(tmp_path)
    history.save()
    assert not history.unsaved
    assert os.listdir(tmp_path) == []
    history.add(record())
    assert history.unsaved
    history.save()
    assert not history.unsaved


def test_the_folder_is_made(tmp_path):
    history = records.History(tmp_path / 'deep' / 'down')
    history.add(record())
    history.save()
    assert loaded(tmp_path / 'deep' / 'down').of('_task') == [record()]


def test_a_full_disk_costs_one_warning_and_nothing_that_was_saved(
        tmp_path, caplog, monkeypatch):
    def full(path, value):
        raise OSError(28, 'No space left on device')

    history = records.History(tmp_path)
    history.add(record())
    history.save()
    with monkeypatch.context() as disk:
        disk.setattr(files, 'write_json', full)
        for at in (1, 2, 3):
            history.add(record(at=at))
            history.save()
            assert history.unsaved
    assert len(caplog.records) == 1
    assert 'No space left' in caplog.text
    assert len(loaded(tmp_path).of('_task')) == 1
    history.save()
    assert len(loaded(tmp_path).of('_task')) == 4
    with monkeypatch.context() as disk:
        disk.setattr(files, 'write_json', full)
        history.add(record())
        history.save()
    assert len(caplog.records) == 2, 'a new outage is news'


def test_a_record_that_is_no_json_costs_one_warning(tmp_path, caplog):
    history = records.History(tmp_path)
    history.add(record(note=object()))
    history.save()
    assert len(caplog.records) == 1
    assert history.of('_task')


def test_the_file_is_plain_json(tmp_path):
    history = records.History(tmp_path)
    history.add(record())
    history.save()
    with open(tmp_path / 'task-records.json') as stream:
        assert json.load(stream)['_task'][0]['outcome'] == 'ok'
