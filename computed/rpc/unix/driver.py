"""RPC between the processes of one machine, without a broker: ``unix://``.

An oslo.messaging driver. ``unix:///run/computed/rpc`` names a directory in
which every RPC server has one listening socket. A client lists it, picks a
server, sends it one frame, and gets the answer on the same connection.

A call is executed at most once. Servers act on whole frames only. So a frame
that the kernel did not take completely was not executed, and may go to another
server. A frame that the kernel took is never sent again.

Unlike a broker this driver keeps no messages for a server that is away (the
client gets an error at once), has no notifications, and reaches no other
machine.
"""

import contextlib
import os
import stat
import typing

import oslo_messaging
from oslo_config import cfg
from oslo_log import log as logging

# Private, and the only way to write a driver. What this driver relies on is
# checked by test_the_library_still_asks_for_what_this_driver_gives.
from oslo_messaging._drivers import base

from computed import chance
from computed import clock
from computed import files
from computed.rpc import failures
from computed.rpc.unix import links as unix_links
from computed.rpc.unix import owners
from computed.rpc.unix import server as unix_server
from computed.rpc.unix import wire as unix_wire

LOG = logging.getLogger(__name__)
Content = dict[str, typing.Any]


class WentAway(oslo_messaging.MessageDeliveryFailure):
    """The server went away during a call. The call may have been done."""


class CannotBeSent(oslo_messaging.MessageDeliveryFailure):
    """The request is too large, or JSON cannot express it."""


class NotAllowed(oslo_messaging.MessageDeliveryFailure):
    """Another user's sockets: nothing was sent. The cause says whose."""

    def __init__(self, cause: owners.Forbidden) -> None:
        super().__init__(str(cause))
        self.cause = cause


def directory_of(url: oslo_messaging.TransportURL) -> str:
    """Return the directory that ``unix:///absolute/dir`` names.

    :raises oslo_messaging.InvalidTransportURL: it does not name a directory
    """
    if url.hosts or url.query or not url.virtual_host:
        raise oslo_messaging.InvalidTransportURL(
            str(url), 'write unix:///absolute/directory, without a host and '
            'without options')
    return os.path.normpath('/' + url.virtual_host)


class UnixDriver(base.BaseDriver):
    """Sends to servers whose sockets are in the URL's directory.

    ``retry`` has no effect: without a server, calls and casts fail at once.
    The caller decides whether to try again.
    """

    def __init__(self, conf: cfg.ConfigOpts,
                 url: oslo_messaging.TransportURL,
                 default_exchange: str | None = None,
                 allowed_remote_exmods: list[str] | None = None) -> None:
        super().__init__(conf, url, default_exchange, allowed_remote_exmods)
        self._directory = directory_of(url)
        self._pool = unix_links.Pool()
        unix_wire.abandon_after_fork(self)

    def abandon(self) -> None:
        """Let go of the parent's connections in a child made by fork."""
        self._pool.forget()
        self._pool = unix_links.Pool()

    def send(self, target: oslo_messaging.Target, ctxt: Content,
             message: Content, wait_for_reply: bool | None = None,
             timeout: float | None = None,
             call_monitor_timeout: float | None = None,
             retry: int | None = None,
             transport_options: typing.Any = None) -> typing.Any:
        """Call, cast or fan out; return the answer of a call.

        :param timeout: seconds for the whole call
        :param call_monitor_timeout: seconds without a sign of life
        :raises oslo_messaging.MessageDeliveryFailure: no server took it and
            nothing was done, except for the subclass :class:`WentAway`.
            The subclass :class:`NotAllowed`: the sockets are another user's
        :raises oslo_messaging.MessagingTimeout: no answer in time
        """
        request = {'id': chance.uuid() if wait_for_reply else None,
                   'ctxt': ctxt, 'msg': message,
                   'timeout': call_monitor_timeout}
        try:
            frame = unix_wire.encode(request, unix_wire.REQUEST_LIMIT)
        except ValueError as error:
            raise CannotBeSent(str(error)) from error
        if target.fanout:
            self._to_all(target, frame)
        elif wait_for_reply:
            return self._call(target, request, frame, timeout)
        else:
            link = self._to_one(target, frame, _deadline(unix_wire.STUCK))
            self._pool.give_back(link)
        return None

    def _call(self, target: oslo_messaging.Target, request: Content,
              frame: bytes, timeout: float | None) -> typing.Any:
        deadline = _deadline(timeout)
        link = self._to_one(target, frame, deadline)
        try:
            answer = self._await(link, request, deadline)
        except TimeoutError:
            self._pool.drop(link)
            raise oslo_messaging.MessagingTimeout(
                f'{target}: no answer in time; it may have been done'
            ) from None
        except (EOFError, OSError, ValueError) as error:
            self._pool.drop(link)
            raise WentAway(
                f'{target}: the server went away during the call, which may '
                f'have been done ({error})') from error
        except BaseException:
            self._pool.drop(link)
            raise
        self._pool.give_back(link)
        if answer.get('failure'):
            raise failures.rebuilt(
                answer['failure'], self._allowed_remote_exmods)
        return answer.get('result')

    def _await(self, link: unix_links.Link, request: Content,
               deadline: float | None) -> Content:
        while True:
            silence = _deadline(request['timeout'])
            answer = link.receive(_earlier(deadline, silence))
            if answer.get('id') != request['id']:
                raise ValueError('an answer to something else')
            if not answer.get('alive'):
                return answer

    def _to_one(self, target: oslo_messaging.Target, frame: bytes,
                deadline: float | None) -> unix_links.Link:
        """Send ``frame`` to one server; return the connection it took."""
        reason: OSError | str = 'none listens'
        tried: set[str] = set()
        # List them again after each failure: a successor may have started.
        while untried := self._servers(target) - tried:
            path = chance.choice(sorted(untried))
            tried.add(path)
            try:
                return self._hand_over(path, frame, deadline)
            except OSError as error:    # not done: another server may do it
                reason = error
        if isinstance(reason, PermissionError):
            raise _not_allowed(reason, path)
        raise oslo_messaging.MessageDeliveryFailure(
            f'{target}: no server in {self._directory} took it, nothing was '
            f'done ({reason})')

    def _to_all(self, target: oslo_messaging.Target, frame: bytes) -> None:
        for path in self._servers(target):
            try:
                link = self._hand_over(
                    path, frame, _deadline(unix_wire.STUCK))
            except OSError as error:
                LOG.info('%s did not take a fanout: %s', path, error)
            else:
                self._pool.give_back(link)

    def _hand_over(self, path: str, frame: bytes, deadline: float | None
                   ) -> unix_links.Link:
        """Send ``frame`` to ``path``; return the connection it took.

        :raises OSError: the frame was not sent whole, so it was not executed
        """
        while link := self._pool.take(path):
            # The server may have closed it since is_usable() was asked.
            with contextlib.suppress(ConnectionError):
                return self._send(link, frame, deadline)
        try:
            link = self._pool.connect(path, deadline)
        except ConnectionRefusedError:
            _remove_stale(path)
            raise
        return self._send(link, frame, deadline)

    def _send(self, link: unix_links.Link, frame: bytes,
              deadline: float | None) -> unix_links.Link:
        try:
            link.send(frame, deadline)
        except BaseException:
            self._pool.drop(link)
            raise
        return link

    def _servers(self, target: oslo_messaging.Target) -> set[str]:
        """Return the paths of the sockets that serve ``target``."""
        try:
            names = os.listdir(self._directory)
        except FileNotFoundError:
            names = []
        except PermissionError as error:
            raise _not_allowed(error, self._directory) from error
        except OSError as error:
            raise oslo_messaging.MessageDeliveryFailure(
                f'{target}: {error}') from error
        self._pool.keep_only(self._path(name) for name in names)
        exchange = target.exchange or self._default_exchange
        return {self._path(name) for name in unix_wire.matching(
            names, exchange, target.topic, target.server)}

    def _path(self, name: str) -> str:
        return files.below(self._directory, name)

    def listen(self, target: oslo_messaging.Target, batch_size: int,
               batch_timeout: float | None) -> base.PollStyleListenerAdapter:
        """Open a socket for ``target``; make the directory if necessary.

        :raises OSError: the directory cannot be made or written
        """
        name = unix_wire.socket_name(
            target.exchange or self._default_exchange, target.topic,
            target.server)
        return base.PollStyleListenerAdapter(
            unix_server.UnixListener(self._directory, name), batch_size,
            batch_timeout)

    def send_notification(
            self, target: oslo_messaging.Target, ctxt: Content,
            message: Content, version: typing.Any, retry: int | None = None
            ) -> typing.NoReturn:
        """Refuse: this driver has no notifications."""
        raise NotImplementedError('unix:// carries no notifications')

    def listen_for_notifications(
            self, targets_and_priorities: typing.Any, pool: typing.Any,
            batch_size: int, batch_timeout: float | None) -> typing.NoReturn:
        """Refuse: this driver has no notifications."""
        raise NotImplementedError('unix:// carries no notifications')

    def cleanup(self) -> None:
        """Close the client's connections; servers close their own."""
        self._pool.close()


def _not_allowed(error: PermissionError, path: str) -> NotAllowed:
    return NotAllowed(error if isinstance(error, owners.Forbidden) else
                      owners.Forbidden(path))


def _deadline(seconds: float | None) -> float | None:
    return None if seconds is None else clock.monotonic() + seconds


def _earlier(one: float | None, other: float | None) -> float | None:
    return min((d for d in (one, other) if d is not None), default=None)


def _remove_stale(path: str) -> None:
    """Remove the socket of a dead server.

    No name is used twice, and a name appears only when its server listens. So
    this cannot remove the socket of a server that is starting.
    """
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)
