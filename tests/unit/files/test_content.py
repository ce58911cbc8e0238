"""What is written is whole, is ours, and a test may stand between two steps.
"""

import pytest

from computed import files

STEPS = ['write', 'fsync', 'rename', 'fsync folder']


@pytest.fixture
def steps():
    found = []
    files.use_hook(lambda step, path: found.append(step))
    yield found
    files.use_hook(None)


def both(names):
    return [f'{when} {name}' for name in names for when in ('before', 'after')]


def test_a_value_comes_back(tmp_path):
    files.write_json(tmp_path / 'a', {'b': [1]})
    assert files.read_json(tmp_path / 'a') == {'b': [1]}
    assert [path.name for path in tmp_path.iterdir()] == ['a']


@pytest.mark.parametrize('damage, reason', [
    ('{"b": ', 'only a part'), ('', 'is empty'), ('\0' * 20, 'is empty'),
    ('null', 'not what such a file has'), ('[' * 100_000, 'not JSON'),
    ('\udcff', 'not JSON')], ids=repr)
def test_a_damaged_file_is_not_an_absent_one(tmp_path, damage, reason):
    assert files.read_json(tmp_path / 'a') is None
    (tmp_path / 'a').write_text(damage, errors='surrogateescape')
    with pytest.raises(files.Damaged, match=f'/a is damaged: .*{reason}'):
        files.read_json(tmp_path / 'a')


@pytest.mark.parametrize('job', [
    lambda value: value['absent'], lambda value: int('x'),
    lambda value: value.absent, lambda value: value + 1])
def test_a_value_that_cannot_be_used_is_damage(tmp_path, job):
    with pytest.raises(files.Damaged, match='/a is damaged'):
        with files.understood(tmp_path / 'a'):
            job({})


def test_what_is_set_aside_replaces_nothing(tmp_path):
    for number, name in enumerate(('a.damaged', 'a.damaged-2')):
        (tmp_path / 'a').write_text(str(number))
        assert files.set_aside(str(tmp_path / 'a')) == str(tmp_path / name)
    assert [(tmp_path / name).read_text() for name in (
        'a.damaged', 'a.damaged-2')] == ['0', '1']


def test_what_a_killed_write_left_is_removed(tmp_path):
    def killed(step, path):
        if step == 'before rename':
            raise SystemExit
    files.use_hook(killed)
    try:
        with pytest.raises(SystemExit):
            files.write_json(tmp_path / 'a.json', 1)
    finally:
        files.use_hook(None)
    files.write_json(tmp_path / 'b.json', 1)
    assert (tmp_path / 'a.json.tmp').exists()
    files.clear_temporaries(tmp_path)
    files.clear_temporaries(tmp_path / 'absent')
    assert [path.name for path in tmp_path.iterdir()] == ['b.json']


def test_each_step_is_told(tmp_path, steps):
    files.write_json(tmp_path / 'a', 1)
    assert steps == both(STEPS)
    steps.clear()
    files.remove(tmp_path / 'a')
    assert steps == both(['unlink', 'fsync folder'])
    steps.clear()
    files.remove(tmp_path / 'a')
    assert steps == ['before unlink']


@pytest.mark.parametrize('step', STEPS[:3])
def test_a_write_that_fails_leaves_the_old_file(tmp_path, step):
    def fail(reached, path):
        if reached == f'before {step}':
            raise OSError(28, 'full')
    files.write_json(tmp_path / 'a', 1)
    files.use_hook(fail)
    try:
        with pytest.raises(OSError, match='full'):
            files.write_json(tmp_path / 'a', 2)
    finally:
        files.use_hook(None)
    assert files.read_json(tmp_path / 'a') == 1
    assert [path.name for path in tmp_path.iterdir()] == ['a']
