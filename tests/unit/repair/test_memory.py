"""What a task remembers, and that it is the task's own."""

import json

import pytest

from computed import exception
from computed.repair import memory
from computed.repair import state

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


@pytest.fixture
def clock():
    return [1000.0]


@pytest.fixture
def explaining(tmp_path, clock):
    """What a task remembers whose first look found two that differ."""
    def read():
        return memory.TaskMemory(state.State(tmp_path / 'a.json'),
                                 lambda: clock[0])
    read().explain({'u1', 'u2'})
    return read


def test_what_a_restart_explains_is_known_to_the_next_run(explaining):
    assert explaining().explained == {'u1', 'u2'}
    explaining().settle('u1')
    assert explaining().explained == {'u2'}


def test_nothing_is_added_to_it(explaining):
    explaining().explain_only({'u2', 'u3'})
    assert explaining().explained == {'u2'}


def test_it_ends_at_a_deadline_that_no_later_look_moves(explaining, clock):
    clock[0] += memory.DEADLINE - 1
    explaining().explain_only({'u1'})
    assert explaining().explained == {'u1'}
    clock[0] += 1
    assert explaining().explained == frozenset()


def test_what_another_start_of_the_machine_left_does_not_count(
        explaining, clock):
    clock[0] = 10.0
    assert explaining().explained == frozenset()


def test_a_name_may_hold_anything(tmp_path):
    memory.Memory(tmp_path).of('../a b').braked = 'x'
    [path] = tmp_path.iterdir()
    assert path.parent == tmp_path


def test_strange_warnings_are_none(tmp_path):
    (tmp_path / 'a.json').write_text('{"warned": 1}')
    assert memory.Memory(tmp_path).of('a').warned == {}


@pytest.mark.parametrize('text', ['', '[]', '[1]'])
def test_a_task_whose_file_is_damaged_does_nothing_until_it_is_gone(
        tmp_path, text):
    path, found = tmp_path / 'a.json', memory.Memory(tmp_path)
    path.write_text(text)
    for _ in range(2):
        with pytest.raises(exception.FileDamaged, match='moved away'):
            found.of('a')
    assert path.read_text() == text
    path.unlink()
    assert found.of('a').warned == {}


def test_what_cannot_be_written_is_remembered_till_the_end(tmp_path, caplog):
    found = memory.Memory(tmp_path / 'none').of('a')
    (tmp_path / 'none').touch()     # where the folder would be
    for _ in range(3):
        found.warned = {}
        found.warned = WARNINGS
    assert found.warned == WARNINGS
    assert len(caplog.records) == 1
    (tmp_path / 'none').unlink()
    found.warned = {}
    assert 'is written again' in caplog.records[-1].getMessage()
    assert len(caplog.records) == 2
