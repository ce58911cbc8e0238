"""Errors of calls to other processes."""

from computed.exception.base import ComputedError


class ConductorUnavailable(ComputedError):
    """No conductor answers at {url}. Start `computed`, or, if transport_url \
is set, `computed-conductor`."""


class BrokerUnavailable(ConductorUnavailable):
    """The message broker {url} cannot be used: {problem}."""


class SocketsForbidden(ConductorUnavailable):
    """Permission denied at {path}: it belongs to user {owner}, and {other} \
runs as user {user}. Run commands as {fitting}, and all services of this \
machine as one user."""


class WrongQueue(ComputedError):
    """Queue {queue} is another queue than services would declare: \
{difference}. Stop the services, delete the queue with `rabbitmqctl \
delete_queue -p {vhost} {queue}`, and start the services."""


class OutcomeUnknown(ComputedError):
    """{method} got no answer (the limit is {timeout} s). It may have been \
done. Check before you repeat it."""


class AnswerTooLarge(OutcomeUnknown):
    """{method} was done, but its answer is too large: {problem}. Ask for \
less at once."""


class PeerFailed(ComputedError):
    """{method} failed at the other end: {error}. The log there says more."""


class CommitUnknown(OutcomeUnknown):
    """The connection to the primary database broke during a commit. The \
change may have been made. Check before you repeat it."""


class BadRequest(ComputedError):
    """The request {method} is malformed: {problem}. Nothing was done."""


class RequestExpired(ComputedError):
    """The request {method} came so late that its caller had given it up. \
Nothing was done. Repeat it if it is still wanted."""


class NotRemotable(ComputedError):
    """{method} cannot be called over RPC."""


class IncompatiblePeer(ComputedError):
    """{what} has version {version}, but this side understands {known}. \
Upgrade both sides to the same release, conductors first."""


class PinnedTooLow(ComputedError):
    """{method} needs RPC version {version}, but [upgrade_levels] allows only \
{pin}. Set it to the version of the oldest peer, or leave it out once all \
peers have the same release."""


class NobodyTold(ComputedError):
    """Conductors send no notifications. Set [notifications] driver to \
messaging or log in their configuration."""
