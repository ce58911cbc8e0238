"""Calls of a driver: their answers, their errors, their deadline."""

import threading
import types

import pytest

from computed import exception
from computed.virt import calls
from tests.support import waiting


class Killed(BaseException):
    pass


@pytest.fixture
def gate():
    """Calls that wait for it hang; it opens at the end of the test."""
    opened = threading.Event()
    yield opened
    opened.set()


def made(timeout=60, **methods):
    return calls.Calls(lambda: types.SimpleNamespace(**methods),
                       lambda: timeout)


def test_the_answer_is_the_drivers():
    assert made(get_instance=lambda uuid: f'guest {uuid}').get_instance(
        'u1') == 'guest u1'


@pytest.mark.parametrize('error', [
    TimeoutError(), exception.GuestNotFound(uuid='u1'), Killed()], ids=type)
def test_so_is_the_error(error):
    def fail(uuid):
        raise error
    with pytest.raises(type(error)) as raised:
        made(get_instance=fail).get_instance('u1')
    assert raised.value is error


def test_another_guest_is_asked_while_one_hangs(gate):
    asked = []

    def get_instance(uuid):
        asked.append(uuid)
        if uuid == 'u1':
            gate.wait()
        return uuid
    found = made(0.01, get_instance=get_instance)
    for _ in range(2):
        with pytest.raises(exception.DriverHangs, match='of u1'):
            found.get_instance('u1')
    assert asked == ['u1']
    found._timeout = lambda: 60
    assert found.get_instance('u2') == 'u2'
    gate.set()
    waiting.wait_for(lambda: not found._hanging, 20, 'the call ended')
    assert found.get_instance('u1') == 'u1'


def test_a_job_goes_on_after_its_deadline(gate):
    ended = threading.Event()

    def job():
        gate.wait()
        ended.set()
        return 'done'
    found = made(0.01)
    assert found.act('stop of u1', job, 0) is None
    assert not ended.is_set()
    gate.set()
    assert ended.wait(20)


def test_an_error_of_a_job_that_nobody_waits_for_is_logged(gate, caplog):
    def job():
        gate.wait()
        raise exception.DriverError(reason='no disk')
    found = made(0.01)
    assert found.act('stop of u1', job, 0) is None
    gate.set()
    waiting.wait_for(lambda: 'no disk' in caplog.text, 20, 'the log line')


def test_a_job_in_time_returns_what_it_did():
    assert made().act('stop of u1', lambda: 'done', 0) == 'done'
