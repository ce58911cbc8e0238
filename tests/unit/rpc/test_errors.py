"""Each failure of a call is one of our errors."""

import oslo_messaging as messaging
import pytest

from computed import exception
from computed.rpc import errors
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
    (messaging.MessageDeliveryFailure('none'), exception.HostUnavailable),
])
def test_a_failure_is_one_of_ours(failure, error):
    with pytest.raises(exception.ComputedError) as found, \
            errors.translated(MISSING, 'stop', 5):
        raise failure
    assert type(found.value) is error
    assert 'PASS' not in str(found.value)
    assert '\n' not in str(found.value)


def test_an_error_that_is_not_of_rpc_passes():
    with pytest.raises(ZeroDivisionError), \
            errors.translated(MISSING, 'stop', 5):
        raise ZeroDivisionError


def test_a_wrong_queue_says_what_differs():
    found = rabbit.Queues('v', {}, {'q': "inequivalent arg 'x'"})
    assert "inequivalent arg 'x'" in str(errors.wrong_queue(found, 'q'))
