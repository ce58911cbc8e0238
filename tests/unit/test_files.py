"""What is written is whole, and a test may stand between any two steps."""

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


def test_an_absent_or_torn_file_has_no_value(tmp_path):
    assert files.read_json(tmp_path / 'a') is None
    (tmp_path / 'a').write_text('{"b": ')
    assert files.read_json(tmp_path / 'a') is None


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
