"""Errors of RPC, turned into our own."""

import contextlib
from collections import abc

import oslo_messaging as messaging

from computed import exception
from computed.rpc import options
from computed.rpc import rabbit
from computed.rpc.unix import driver as unix_driver
from computed.rpc.unix import owners


@contextlib.contextmanager
def translated(missing: exception.ComputedError, method: str,
               timeout: float) -> abc.Iterator[None]:
    """Turn what a call over RPC raises into our own errors.

    :param missing: the error to raise if no server takes the call
    :param method: the name of the called method, for error texts
    :param timeout: seconds that the caller waits, for error texts
    """
    try:
        yield
    except rabbit.Unreachable as error:
        raise unreachable(error) from None
    except rabbit.NobodyListens as error:
        raise missing from error
    except exception.ComputedError as error:
        raise exception.rebuilt(error) from None
    except messaging.RPCVersionCapError as error:
        raise exception.PinnedTooLow(
            method=method, version=error.version,
            pin=error.version_cap) from error
    except messaging.RemoteError as error:
        first = (str(error.value) or error.exc_type).splitlines()[0]
        raise exception.PeerFailed(
            method=method, error=f'{error.exc_type}: {first}') from None
    except (unix_driver.WentAway, rabbit.Unconfirmed,
            messaging.MessagingTimeout) as error:
        raise exception.OutcomeUnknown(
            method=method, timeout=timeout) from error
    except (unix_driver.CannotBeSent, rabbit.TooLarge) as error:
        raise exception.BadRequest(
            method=method, problem=str(error)) from None
    except unix_driver.NotAllowed as error:
        raise forbidden(error.cause) from None
    except messaging.MessageDeliveryFailure as error:
        raise missing from error


def unreachable(error: rabbit.Unreachable) -> exception.BrokerUnavailable:
    """Return the error that says why the broker cannot be used."""
    return exception.BrokerUnavailable(
        url=options.shown(str(error.url)), problem=error.problem)


def forbidden(error: owners.Forbidden) -> exception.SocketsForbidden:
    """Return the error that says whose the sockets are."""
    return exception.SocketsForbidden(
        path=error.path, owner=error.owner,
        other='its server' if error.server else 'this program',
        user=error.server or error.user,
        fitting=' or '.join(dict.fromkeys((error.owner, 'root'))))


def wrong_queue(found: rabbit.Queues, name: str) -> exception.WrongQueue:
    """Return the error that says what is wrong with the queue ``name``."""
    return exception.WrongQueue(queue=name, vhost=found.vhost,
                                difference=found.differences[name])
