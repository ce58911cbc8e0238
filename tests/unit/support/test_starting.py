"""A server that many tests need: a second try, then one short line."""

import pathlib

import pytest

from tests.servers import starting

pytest_plugins = ['pytester']
ROOT = pathlib.Path(__file__).parents[3]


class Server:
    """Starts at the try whose number is ``good``."""

    def __init__(self, folder, good):
        self.folder = folder
        self.good = good
        self.running = False

    def start(self):
        self.running = True
        if not self.folder.name.endswith(str(self.good)):
            raise AssertionError('no answer\nthe end of the log')

    def stop(self):
        self.running = False


@pytest.fixture(autouse=True)
def none_failed(monkeypatch):
    monkeypatch.setattr(starting, '_failed', {})


@pytest.fixture
def made():
    return []


@pytest.fixture
def started(tmp_path, made):
    def start(good):
        def make(folder):
            made.append(Server(folder, good))
            return made[-1]
        return starting.started('x', tmp_path, make)
    return start


@pytest.mark.parametrize('good', [0, 1])
def test_one_of_two_tries_is_enough(started, made, good):
    with started(good) as server:
        assert server.running
        assert len(made) == good + 1
    assert [one.running for one in made] == [False] * (good + 1)
    assert len({one.folder for one in made}) == good + 1


def test_after_two_tries_no_later_test_tries_again(started, made):
    for _ in range(2):
        with pytest.raises(starting.NotStarted) as caught:
            started(good=9).__enter__()
    assert len(made) == 2
    assert not any(one.running for one in made)
    assert caught.value.line == 'x did not start, tried 2 times: no answer'
    assert str(caught.value).count('the end of the log') == 2


def test_only_the_first_test_shows_the_log(pytester):
    pytester.makeconftest("""
        import pytest
        from tests.servers import starting
        from tests.conftest import pytest_runtest_makereport

        @pytest.fixture(scope='session')
        def server():
            raise starting.NotStarted('x', [
                'no answer\\nend of ' + 'the log'])
    """)
    pytester.makepyfile("""
        def test_one(server):
            pass

        def test_two(server):
            pass
    """)
    result = pytester.runpytest()
    result.assert_outcomes(errors=2)
    # Not in the summary, which shows all of it where CI is set.
    assert [line.split(None, 1)[1] for line in result.outlines
            if line.startswith('E ') and 'end of the log' in line] == [
                'end of the log']
    output = str(result.stdout)
    assert output.count('x did not start, tried 1 times: no answer') >= 2
