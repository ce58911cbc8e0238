"""What a task remembers, and that it is the task's own."""

import json

import pytest

from computed.repair import memory

WARNINGS = {'u1': 'is paused'}


def test_ten_repairs_of_one_task_do_not_brake_another(tmp_path):
    found = memory.Memory(tmp_path)
    while found.of('_one').hourly.take(10):
        pass
    assert found.of('_another').hourly.room(10) == 10
    assert found.of('_one') is found.of('_one')


def test_it_outlives_the_process_in_a_file_for_each_task(tmp_path):
    before = memory.Memory(tmp_path / 'tasks').of('_sync')
    before.warned, before.braked = WARNINGS, 'web, db'
    assert before.hourly.take(2)
    [path] = (tmp_path / 'tasks').iterdir()
    assert path.name == '_sync.json'
    assert json.loads(path.read_text()).keys() == {
        'warned', 'braked', 'repairs'}
    after = memory.Memory(tmp_path / 'tasks').of('_sync')
    assert (after.warned, after.braked) == (WARNINGS, 'web, db')
    assert after.hourly.room(2) == 1


def test_a_name_may_hold_anything(tmp_path):
    memory.Memory(tmp_path).of('../a b').braked = 'x'
    [path] = tmp_path.iterdir()
    assert path.parent == tmp_path


@pytest.mark.parametrize('text', ['', '[]', '{"warned": 1}'])
def test_a_torn_file_holds_nothing(tmp_path, text):
    (tmp_path / 'a.json').write_text(text)
    assert memory.Memory(tmp_path).of('a').warned == {}


def test_what_cannot_be_written_is_remembered_till_the_end(tmp_path):
    found = memory.Memory(tmp_path / 'none').of('a')
    (tmp_path / 'none').touch()     # where the folder would be
    found.warned = WARNINGS
    assert found.warned == WARNINGS
