"""Each failure of a call is one of our errors."""

import inspect

import oslo_messaging as messaging
import pytest
from oslo_messaging._drivers import amqpdriver
from oslo_messaging._drivers import common

from computed import exception
from computed.rpc import errors
from computed.rpc import failures
from computed.rpc import rabbit
from computed.rpc.unix import driver as unix_driver

MISSING = exception.HostUnavailable(host='h1')
URL = 'rabbit://u:PASS@h1/'


@pytest.mark.parametrize('failure, error', [
    (rabbit.Unreachable(URL, 'refused'), exception.BrokerUnavailable),
    (rabbit.NobodyListens('q'), exception.HostUnavailable),
    (exception.HostNotFound(host='h2'), exception.HostNotFound),
    (messaging.RPCVersionCapError(version='1.2', version_cap='1.0'),
     exception.PinnedTooLow),
    (messaging.RemoteError('ValueError', 'no\nmore'), exception.PeerFailed),
    (unix_driver.WentAway('gone'), exception.OutcomeUnknown),
    (rabbit.Unconfirmed('gone'), exception.OutcomeUnknown),
    (messaging.MessagingTimeout('late'), exception.OutcomeUnknown),
    (unix_driver.CannotBeSent('too large'), exception.BadRequest),
    (rabbit.TooLarge('of 20 MiB'), exception.BadRequest),
    (messaging.MessageDeliveryFailure('none'), exception.HostUnavailable),
])
def test_a_failure_is_one_of_ours(failure, error):
    with pytest.raises(exception.ComputedError) as found, \
            errors.translated(MISSING, 'stop', 5):
        raise failure
    assert type(found.value) is error
    assert 'PASS' not in str(found.value)
    assert '\n' not in str(found.value)


@pytest.mark.parametrize('failure', [
    'no JSON', '[]', '7', 'null', '{}', '{"tb": 7}', '{"class": 7}',
    '{"class": "InstanceNotFound", "module": "computed.exception", '
    '"args": {}, "kwargs": []}',
    '{"class": "InstanceNotFound", "module": "computed.exception", '
    '"kwargs": {"message": 1}, "args": [1]}',
    '{"class": "InstanceNotFound", "module": "computed.exception", '
    '"kwargs": {"self": 1}}',
    '{"class": "InstanceNotFound", "module": "computed.exception"}',
    '{"class": "rebuilt", "module": "computed.exception"}',
    '{"class": "HostTaken", "module": "computed.exception", '
    '"kwargs": {"age": "old", "new": 1}}',
    '{"class": "UnicodeDecodeError", "module": "builtins"}',
    '{"class": "SystemExit", "module": "builtins"}',
    '{"class": "KeyError", "module": "builtins", "args": ["x"], '
    '"message": "x", "tb": ["a", "b"]}', 7, [], {'a': 1}])
def test_an_error_that_cannot_be_made_again_is_one_of_ours_too(failure):
    with pytest.raises(exception.ComputedError) as found, \
            errors.translated(MISSING, 'stop', 5):
        raise failures.rebuilt(failure, ['computed.exception'])
    assert '\n' not in str(found.value)


def test_an_error_with_other_values_is_still_shown():
    found = exception.InstanceNotFound(uuid='u1')
    assert 'There is no instance' in str(found)
    assert 'u1' in str(found)


class Waiter:
    """In place of the library's, which reads replies for all threads."""

    allowed_remote_exmods = ['computed.exception']

    @staticmethod
    def _process_reply(data):
        assert data['failure'] is None
        return data.get('result'), data.get('ending', False)


def test_a_reply_of_a_broker_is_read_without_another_error():
    read = failures.ReplyReader(Waiter())
    assert read({'result': 7, 'failure': None, 'ending': True}) == (7, True)
    assert read({'ending': True}) == (None, True)
    found, last = read({'failure': '[]', 'ending': True})
    assert isinstance(found, messaging.RemoteError) and last


def test_the_library_still_has_what_failures_need():
    """A new release of the library must keep the private names in use."""
    assert list(inspect.signature(
        amqpdriver.ReplyWaiter._process_reply).parameters) == ['self', 'data']
    assert callable(amqpdriver.AMQPDriverBase._get_reply_q)
    assert common.deserialize_remote_exception.__code__.co_varnames[:2] == (
        'data', 'allowed_remote_exmods')


def test_an_error_that_is_not_of_rpc_passes():
    with pytest.raises(ZeroDivisionError), \
            errors.translated(MISSING, 'stop', 5):
        raise ZeroDivisionError


def test_a_wrong_queue_says_what_differs():
    found = rabbit.Queues('v', {}, {'q': "inequivalent arg 'x'"})
    assert "inequivalent arg 'x'" in str(errors.wrong_queue(found, 'q'))
