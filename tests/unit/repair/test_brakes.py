import pytest

from computed import exception
from computed.repair import brakes
from computed.repair import state


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_the_limit_is_a_quarter_of_the_host_but_at_least_ten():
    assert brakes.limit(0, 4) == 10
    assert brakes.limit(0, 100) == 25
    assert brakes.limit(3, 100) == 3


def test_an_hour_has_room_for_so_many_and_frees_it_again():
    clock = Clock()
    hourly = brakes.Hourly(state.State(), clock=clock)
    assert [hourly.take(2) for _ in range(3)] == [True, True, False]
    assert hourly.room(2) == 0
    clock.now = brakes.HOUR
    assert hourly.room(2) == 2
    assert hourly.take(2)


def test_the_hour_goes_on_after_a_restart(tmp_path):
    path, clock, wall = tmp_path / 'task.json', Clock(), Clock()
    wall.now = 1_000_000.0
    before = brakes.Hourly(state.State(path), clock, wall)
    assert before.take(2)
    clock.now += 600
    wall.now += 600
    assert before.take(2)
    # The machine's own clock begins at zero, the other goes on.
    clock, wall.now = Clock(), wall.now + 1200
    after = brakes.Hourly(state.State(path), clock, wall)
    assert not after.take(2)
    clock.now = brakes.HOUR - 1800
    assert after.room(2) == 1
    clock.now += 600
    assert after.room(2) == 2


@pytest.mark.parametrize('step', [-86400, 86400])
def test_a_clock_that_was_set_lets_no_more_be_done_while_it_runs(
        tmp_path, step):
    wall = Clock()
    hourly = brakes.Hourly(
        state.State(tmp_path / 'task.json'), Clock(), wall)
    assert hourly.take(1)
    wall.now += step
    assert hourly.room(1) == 0


def test_a_clock_that_was_set_back_hides_no_repair(tmp_path):
    path, wall = tmp_path / 'task.json', Clock()
    wall.now = 1_000_000.0
    assert brakes.Hourly(state.State(path), Clock(), wall).take(1)
    wall.now = 5.0
    assert brakes.Hourly(state.State(path), Clock(), wall).room(1) == 0


@pytest.mark.parametrize('text', [
    '', '[1', '["x", null]', 'null', '{"repairs": 1}',
    '{"repairs": ["x", null]}', '{"repairs": [NaN]}'])
def test_a_damaged_count_takes_no_brake_off(tmp_path, text):
    path = tmp_path / 'task.json'
    path.write_text(text)
    with pytest.raises(exception.FileDamaged, match='task.json is damaged'):
        brakes.Hourly(state.State(path))
    assert path.read_text() == text
    path.unlink()
    assert brakes.Hourly(state.State(path)).room(3) == 3


def test_what_cannot_be_counted_is_not_done(tmp_path):
    hourly = brakes.Hourly(state.State(tmp_path / 'none' / 'task.json'))
    (tmp_path / 'none').touch()     # where the folder would be
    assert not hourly.take(5)
    assert hourly.room(5) == 5
