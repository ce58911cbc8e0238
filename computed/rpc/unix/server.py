"""The server's side of ``unix://``: a listening socket and its clients.

See :mod:`computed.rpc.unix.driver` for what the two sides have agreed on.
"""

import contextlib
import errno
import os
import queue
import selectors
import socket
import threading
import uuid

from oslo_log import log as logging

# Private, and the only way to write a driver. What we rely on is pinned by
# test_the_library_still_asks_for_what_this_driver_gives.
from oslo_messaging._drivers import base
from oslo_messaging._drivers import common

from computed.rpc.unix import wire as unix_wire

LOG = logging.getLogger(__name__)


class Peer:
    """A client's connection, seen from the server; has its own thread.

    Closed once nothing more can be read and every call has its answer.

    :param deliver: called with this peer and each request
    :param forget: called with this peer when it is closed
    """

    def __init__(self, sock, pid, deliver, forget):
        # A client that does not read its answers must not keep a worker.
        # Reads, which the same limit is for, are simply begun again.
        sock.settimeout(unix_wire.STUCK)
        self._sock = sock
        self._pid = pid
        self._deliver = deliver
        self._forget = forget
        self._lock = threading.Lock()
        self._reading = True
        self._unanswered = 0
        self.thread = threading.Thread(
            target=self._read, name=f'unix-peer-{pid}', daemon=True)

    def _read(self):
        try:
            while True:
                self._take(unix_wire.receive(self._sock))
        except ValueError as error:
            LOG.warning('Closed the connection of process %d: %s',
                        self._pid, error)
        except (EOFError, OSError):
            pass                        # clients come and go
        with self._lock:
            self._reading = False
            self._close_if_done()

    def _take(self, content):
        request = unix_wire.checked_request(content)
        with self._lock:
            self._unanswered += request['id'] is not None
        self._deliver(self, request)

    def send(self, frame):
        """Send ``frame``, if the client is still there."""
        with self._lock, contextlib.suppress(OSError):
            self._put(frame)

    def answer(self, frame):
        """Send the answer to a call."""
        with self._lock:
            try:
                self._put(frame)
            except OSError as error:
                LOG.info('Process %d did not take its answer: %s',
                         self._pid, error)
            self._unanswered -= 1
            self._close_if_done()

    def _put(self, frame):
        """Send all of ``frame``; what comes after half of one means nothing.

        Not sendall(): its limit is one for all, however well it goes on.
        """
        rest = memoryview(frame)
        try:
            while rest:
                rest = rest[self._sock.send(rest):]
        except OSError:
            self.shut(socket.SHUT_RDWR)
            raise

    def _close_if_done(self):
        if not self._reading and not self._unanswered:
            self.close()

    def shut(self, how):
        """Shut one direction or both; descriptors stay valid."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(how)

    def close(self):
        """Close, whatever is still to come."""
        self._sock.close()
        self._forget(self)


class Incoming(base.RpcIncomingMessage):
    """A request, and the way back to who sent it."""

    def __init__(self, peer, request):
        super().__init__(request['ctxt'], request['msg'], request['id'])
        self.client_timeout = request['timeout']
        self._peer = peer
        self._is_call = request['id'] is not None

    def requeue(self):
        """Not supported, as ``require_features`` says."""
        LOG.error('Request %s cannot be put back; it is lost', self.msg_id)

    def heartbeat(self):
        """Tell the caller that its call is being worked on."""
        self._peer.send(unix_wire.encode({'id': self.msg_id, 'alive': True}))

    def reply(self, reply=None, failure=None):
        """Answer a call; nobody waits for the answer to a cast."""
        if not self._is_call:
            return
        try:
            frame = self._answer(reply, failure)
        except Exception as error:      # the caller must hear, not time out
            failure = ValueError(f'the answer cannot be sent: {error}')
            frame = self._answer(None, (ValueError, failure, None))
        self._peer.answer(frame)

    def _answer(self, reply, failure):
        if failure:
            failure = common.serialize_remote_exception(failure)
        return unix_wire.encode(
            {'id': self.msg_id, 'result': reply, 'failure': failure})


class UnixListener(base.PollStyleListener):
    """The socket of one RPC server, and what comes in through it."""

    def __init__(self, directory, name):
        super().__init__()
        self._requests = queue.SimpleQueue()
        self._peers = set()
        self._stopping = threading.Event()
        self._name = name
        os.makedirs(directory, mode=0o700, exist_ok=True)
        if os.stat(directory).st_mode & 0o022:
            raise PermissionError(
                errno.EPERM, f'others may write to {directory}')
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sock.setblocking(False)
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._directory = os.open(directory, os.O_PATH | os.O_DIRECTORY)
        try:
            self._listen()
        except BaseException:
            self.abandon()
            raise
        unix_wire.abandon_after_fork(self)
        self._acceptor = threading.Thread(
            target=self._accept, name='unix-accept', daemon=True)
        self._acceptor.start()

    def _listen(self):
        # An address has 107 bytes at most, a directory's path may have more;
        # hence /proc. The real name appears only when clients can connect:
        # whatever has one and refuses is dead, and may be removed.
        starting = f'/proc/self/fd/{self._directory}/{uuid.uuid4().hex}'
        self._sock.bind(starting)
        try:
            os.chmod(starting, 0o600)
            self._sock.listen(128)
            os.rename(starting, self._name, dst_dir_fd=self._directory)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(starting)
            raise

    def _accept(self):
        with selectors.DefaultSelector() as selector:
            selector.register(self._sock, selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            shut = False
            while not shut:
                shut = any(key.fd == self._wake
                           for key, _ in selector.select())
                # When shut, too: nobody who got through is left alone.
                self._admit_waiting()

    def _admit_waiting(self):
        while True:
            try:
                self._admit(self._sock.accept()[0])
            except BlockingIOError:
                return
            except (OSError, RuntimeError) as error:
                if self._stopping.is_set():
                    return
                LOG.error('Cannot accept a connection: %s', error)
                self._stopping.wait(0.1)

    def _admit(self, accepted):
        # Anew: eventlet hands out a plain one here, which it cannot wait for.
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM,
                             fileno=accepted.detach())
        pid, uid = unix_wire.peer_of(sock)
        if not unix_wire.is_trusted(uid):
            LOG.warning('Refused process %d of user %d', pid, uid)
            sock.close()
            return
        peer = Peer(sock, pid, self._take, self._peers.discard)
        self._peers.add(peer)
        try:
            peer.thread.start()
        except RuntimeError:            # no more threads
            peer.close()
            raise

    def _take(self, peer, request):
        self._requests.put(Incoming(peer, request))

    @base.batch_poll_helper
    def poll(self, timeout=None):
        """The next request; None after ``timeout`` seconds or stop()."""
        try:
            request = self._requests.get(timeout=timeout)
        except queue.Empty:
            return None
        if request is None:
            self._requests.put(None)    # the end stays the end
        return request

    def stop(self):
        """Take nothing new; answer what was sent before.

        No request is lost: SHUT_RD makes each client's next send fail, which
        it may then try elsewhere, and leaves us to read what came before.
        """
        if self._stopping.is_set():
            return
        self._stopping.set()
        with contextlib.suppress(OSError):
            os.unlink(self._name, dir_fd=self._directory)
        self._sock.shutdown(socket.SHUT_RD)
        os.eventfd_write(self._wake, 1)
        self._acceptor.join()
        peers = list(self._peers)
        for peer in peers:
            peer.shut(socket.SHUT_RD)
        for peer in peers:
            peer.thread.join()
        self._requests.put(None)

    def cleanup(self):
        """Stop, and close all that is open."""
        self.stop()
        self.abandon()

    def abandon(self):
        """Close what is open without a word to others: it is not ours."""
        self._stopping.set()
        if self._directory is not None:
            os.close(self._directory)
            os.close(self._wake)
        self._directory = None
        self._sock.close()
        for peer in list(self._peers):
            peer.close()
