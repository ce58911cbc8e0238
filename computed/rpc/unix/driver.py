"""RPC between the processes of one machine, without a broker: ``unix://``.

An oslo.messaging driver. ``unix:///run/computed/rpc`` names a directory in
which every RPC server has one listening socket. A client lists it, picks a
server, hands it one frame, and gets the answer on the same connection.

A call is executed at most once. Servers act on whole frames only; so a frame
that the kernel did not take to its last byte was not executed and may go to
another server, and one that it took is never sent again.

What a broker would do and this does not: keep messages for a server that is
not there (the client is told at once), notifications, other machines.
"""

import contextlib
import os
import random
import stat
import time
import uuid

import oslo_messaging
from oslo_log import log as logging

# Private, and the only way to write a driver. What we rely on is pinned by
# test_the_library_still_asks_for_what_this_driver_gives.
from oslo_messaging._drivers import base
from oslo_messaging._drivers import common

from computed.rpc.unix import server as unix_server
from computed.rpc.unix import wire as unix_wire

LOG = logging.getLogger(__name__)


class WentAway(oslo_messaging.MessageDeliveryFailure):
    """The server went away during a call, which may have been done."""


def directory_of(url):
    """The directory that ``unix:///absolute/dir`` names.

    :raises oslo_messaging.InvalidTransportURL: it names none
    """
    if url.hosts or url.query or not url.virtual_host:
        raise oslo_messaging.InvalidTransportURL(
            str(url), f'{url}: write unix:///absolute/directory, without a '
            'host and without options')
    return os.path.normpath('/' + url.virtual_host)


class UnixDriver(base.BaseDriver):
    """Sends to servers whose sockets are in the URL's directory.

    ``retry`` has no effect: without a server, calls and casts fail at once,
    and whether to try again is up to the caller.
    """

    def __init__(self, conf, url, default_exchange=None,
                 allowed_remote_exmods=None):
        super().__init__(conf, url, default_exchange, allowed_remote_exmods)
        self._directory = directory_of(url)
        self._pool = unix_wire.Pool()
        unix_wire.abandon_after_fork(self)

    def abandon(self):
        """In a forked child: start anew, the connections are the parent's."""
        self._pool.forget()
        self._pool = unix_wire.Pool()

    def send(self, target, ctxt, message, wait_for_reply=None, timeout=None,
             call_monitor_timeout=None, retry=None, transport_options=None):
        """Call, cast or fan out; return the answer of a call.

        :param timeout: seconds for all of a call
        :param call_monitor_timeout: seconds without a sign of life
        :raises oslo_messaging.MessageDeliveryFailure: no server took it,
            nothing was done; but see the subclass :class:`WentAway`
        :raises oslo_messaging.MessagingTimeout: no answer in time
        """
        request = {'id': uuid.uuid4().hex if wait_for_reply else None,
                   'ctxt': ctxt, 'msg': message,
                   'timeout': call_monitor_timeout}
        try:
            frame = unix_wire.encode(request)
        except ValueError as error:
            raise oslo_messaging.MessageDeliveryFailure(
                f'{target}: {error}') from error
        if target.fanout:
            self._to_all(target, frame)
        elif wait_for_reply:
            return self._call(target, request, frame, timeout)
        else:
            link = self._to_one(target, frame, _deadline(unix_wire.STUCK))
            self._pool.give_back(link)
        return None

    def _call(self, target, request, frame, timeout):
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
            raise common.deserialize_remote_exception(
                answer['failure'], self._allowed_remote_exmods)
        return answer.get('result')

    def _await(self, link, request, deadline):
        while True:
            silence = _deadline(request['timeout'])
            answer = link.receive(_earlier(deadline, silence))
            if answer.get('id') != request['id']:
                raise ValueError('an answer to something else')
            if not answer.get('alive'):
                return answer

    def _to_one(self, target, frame, deadline):
        """Hand ``frame`` to one server; return the connection it took."""
        reason = 'none listens'
        tried = set()
        # Looks again after each failure: a successor may have come.
        while untried := self._servers(target) - tried:
            path = random.choice(list(untried))
            tried.add(path)
            try:
                return self._hand_over(path, frame, deadline)
            except OSError as error:    # not done: another may do it
                reason = str(error)
        raise oslo_messaging.MessageDeliveryFailure(
            f'{target}: no server in {self._directory} took it, nothing was '
            f'done ({reason})')

    def _to_all(self, target, frame):
        for path in self._servers(target):
            try:
                link = self._hand_over(
                    path, frame, _deadline(unix_wire.STUCK))
            except OSError as error:
                LOG.info('%s did not take a fanout: %s', path, error)
            else:
                self._pool.give_back(link)

    def _hand_over(self, path, frame, deadline):
        """Send ``frame`` to ``path``; return the connection it took.

        :raises OSError: not the whole frame was sent, so it was not executed
        """
        while link := self._pool.take(path):
            # The server may have closed it since we looked.
            with contextlib.suppress(ConnectionError):
                return self._send(link, frame, deadline)
        try:
            link = self._pool.connect(path, deadline)
        except ConnectionRefusedError:
            _remove_stale(path)
            raise
        return self._send(link, frame, deadline)

    def _send(self, link, frame, deadline):
        try:
            link.send(frame, deadline)
        except BaseException:
            self._pool.drop(link)
            raise
        return link

    def _servers(self, target):
        """Paths of the sockets that serve ``target``."""
        try:
            names = os.listdir(self._directory)
        except FileNotFoundError:
            names = []
        except OSError as error:
            raise oslo_messaging.MessageDeliveryFailure(
                f'{target}: {error}') from error
        self._pool.keep_only(self._path(name) for name in names)
        exchange = target.exchange or self._default_exchange
        return {self._path(name) for name in unix_wire.matching(
            names, exchange, target.topic, target.server)}

    def _path(self, name):
        return os.path.join(self._directory, name)

    def listen(self, target, batch_size, batch_timeout):
        """Open a socket for ``target``, and the directory if there is none.

        :raises OSError: the directory cannot be made or written
        """
        name = unix_wire.socket_name(
            target.exchange or self._default_exchange, target.topic,
            target.server)
        return base.PollStyleListenerAdapter(
            unix_server.UnixListener(self._directory, name), batch_size,
            batch_timeout)

    def send_notification(self, target, ctxt, message, version, retry=None):
        raise NotImplementedError('unix:// carries no notifications')

    def listen_for_notifications(self, targets_and_priorities, pool,
                                 batch_size, batch_timeout):
        raise NotImplementedError('unix:// carries no notifications')

    def cleanup(self):
        """Close the client's connections; servers close their own."""
        self._pool.close()


def _deadline(seconds):
    return None if seconds is None else time.monotonic() + seconds


def _earlier(one, other):
    return min((d for d in (one, other) if d is not None), default=None)


def _remove_stale(path):
    """Remove the socket of a dead server.

    Names are never given twice and appear only when the server listens, so
    this cannot hit one that is just starting.
    """
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)
