"""Calls of a driver: their answers, their errors, their deadline."""

import threading
import types
from concurrent import futures

import pytest
from oslo_context import context as oslo_context

from computed import context
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

    def job(driver_done):
        gate.wait()
        ended.set()
        return 'done'
    found = made(0.01)
    assert found.act('stop of u1', job, 0) is None
    assert not ended.is_set()
    gate.set()
    assert ended.wait(60)


def test_an_error_of_a_job_that_nobody_waits_for_is_logged(gate, caplog):
    def job(driver_done):
        gate.wait()
        raise exception.DriverError(reason='no disk')
    found = made(0.01)
    assert found.act('stop of u1', job, 0) is None
    gate.set()
    waiting.wait_for(lambda: 'no disk' in caplog.text, 20, 'the log line')


def test_a_job_in_time_returns_what_it_did():
    assert made().act('stop of u1', lambda driver_done: 'done', 0) == 'done'


def test_what_follows_the_drivers_part_has_no_deadline(gate):
    def job(driver_done):
        driver_done()
        gate.wait()
        return 'settled'
    found = made(0.01)
    with futures.ThreadPoolExecutor() as pool:
        result = pool.submit(found.act, 'stop of u1', job, 0)
        assert not futures.wait([result], 0.1).done
        gate.set()
        assert result.result(60) == 'settled'


def test_an_act_is_waited_for_at_the_end(gate):
    ended = []

    def job(driver_done):
        gate.wait()
        ended.append('stop')
    found = made(0.01)
    found.act('stop of u1', job, 0)
    found.finish(timeout=0)
    assert not ended
    gate.set()
    found.finish()
    assert ended == ['stop']


def test_the_log_says_where_a_call_hangs(gate, caplog):
    def get_instance(uuid):
        gate.wait()
    with pytest.raises(exception.DriverHangs):
        made(0.01, get_instance=get_instance).get_instance('u1')
    assert 'gate.wait()' in caplog.text


def test_a_call_has_the_request_of_its_caller():
    asking = context.new()
    asking.update_store()
    found = made(get_instance=lambda uuid: oslo_context.get_current())
    assert found.get_instance('u1') is asking
