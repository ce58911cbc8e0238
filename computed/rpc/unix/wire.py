"""What ``unix://`` puts on the wire, and a client's connections.

A frame is four bytes of length (big-endian), then a JSON object. A socket's
file name says what its server serves::

    <exchange>,<topic>,<server>,<pid>-<random>.sock
"""

import collections
import contextlib
import os
import socket
import struct
import threading
import time
import urllib.parse
import uuid
import weakref

from oslo_serialization import jsonutils

LIMIT = 64 << 20            # bytes of JSON in a frame
IDLE = 16                   # unused connections a client keeps to one server
STUCK = 30                  # seconds at a standstill until a send is given up
REDIAL = 0.01               # seconds between tries of a server that is full
HEADER = struct.Struct('!I')


# What has sockets open, for the sake of children made by fork.
_holders = weakref.WeakSet()


def abandon_after_fork(holder):
    """In each child made by fork from now on, call ``holder.abandon()``."""
    _holders.add(holder)


def _after_fork():
    for holder in _holders:
        holder.abandon()


os.register_at_fork(after_in_child=_after_fork)


# -- frames

def encode(content):
    """``content``, a dict, as one frame.

    :raises ValueError: it is larger than LIMIT, or JSON cannot express it
    """
    body = jsonutils.dump_as_bytes(content)
    if len(body) > LIMIT:
        raise ValueError(f'a message of {len(body)} bytes exceeds the limit '
                         f'of {LIMIT}')
    return HEADER.pack(len(body)) + body


def decode(body):
    """The dict in the body of a frame.

    :raises ValueError: there is none
    """
    try:
        content = jsonutils.loads(body)
    except RecursionError:
        raise ValueError('nested too deeply') from None
    if not isinstance(content, dict):
        raise ValueError(f'a {type(content).__name__} is not a message')
    return content


def receive(sock, deadline=None):
    """Read one frame and return its dict.

    :param deadline: on the monotonic clock; None waits for ever
    :raises EOFError: the peer has closed, between two frames
    :raises TimeoutError: the deadline has passed
    :raises ValueError: the frame is too large, cut short, or malformed
    """
    header = _read(sock, HEADER.size, deadline)
    if not header:
        raise EOFError('the connection was closed')
    _check_length(header, HEADER.size)
    size, = HEADER.unpack(header)
    if size > LIMIT:
        raise ValueError(f'{size} bytes announced, the limit is {LIMIT}')
    body = _read(sock, size, deadline)
    _check_length(body, size)
    return decode(body)


def checked_request(content):
    """``content`` with all keys of a request.

    :raises ValueError: one is missing or of the wrong type
    """
    request = {'id': None, 'timeout': None} | content
    for key, kind in (('id', str | None), ('ctxt', dict), ('msg', dict),
                      ('timeout', int | float | None)):
        if not isinstance(request.get(key), kind):
            raise ValueError(f'a request without a proper {key!r}')
    return request


def _read(sock, size, deadline):
    """``size`` bytes, or fewer if the peer closes before."""
    data = bytearray()      # grows with what comes, not with what is promised
    while len(data) < size:
        if deadline is not None:
            sock.settimeout(left(deadline))
        try:
            chunk = sock.recv(min(size - len(data), 1 << 18))
        except TimeoutError:
            left(deadline)      # a socket's limit may be one for sends
            continue
        if not chunk:
            break
        data += chunk
    return bytes(data)


def _check_length(data, size):
    if len(data) < size:
        raise ValueError('closed in the middle of a frame')


def left(deadline):
    """Seconds until ``deadline`` on the monotonic clock; None for None.

    :raises TimeoutError: it has passed
    """
    if deadline is None:
        return None
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError('the time is up')
    return seconds


# -- names

def socket_name(exchange, topic, server):
    """A file name for a new server of this target; never given twice."""
    unique = f'{os.getpid()}-{uuid.uuid4().hex[:12]}.sock'
    return ','.join([_quoted(exchange), _quoted(topic), _quoted(server),
                     unique])


def matching(names, exchange, topic, server=None):
    """Those of ``names`` that serve the target; of any server if None."""
    wanted = [_quoted(exchange), _quoted(topic)]
    if server:
        wanted.append(_quoted(server))
    return [name for name in names
            if name.count(',') == 3 and name.endswith('.sock')
            and name.split(',')[:len(wanted)] == wanted]


def _quoted(part):
    return urllib.parse.quote(part, safe='')


# -- the client's end

def peer_of(sock):
    """``(pid, uid)`` of the process at the other end, by the kernel."""
    pid, uid, _ = struct.unpack('3i', sock.getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, uid


def is_trusted(uid):
    """Whether a user may talk to this process: root and its own user."""
    return uid in (0, os.geteuid())


class Link:
    """A connection to the server at ``path``, for one request at a time.

    :raises OSError: why there is none
    """

    def __init__(self, path, deadline):
        self.path = path
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._connect(deadline)
        except BaseException:
            self.forget()
            raise

    def _connect(self, deadline):
        # An address has 107 bytes at most, a path may have more: so the
        # socket is opened, and its descriptor is the address.
        fd = os.open(self.path, os.O_PATH)
        try:
            self._dial(f'/proc/self/fd/{fd}', left(deadline) or STUCK)
        finally:
            os.close(fd)
        _, uid = peer_of(self._sock)
        if not is_trusted(uid):
            raise PermissionError(f'its server belongs to user {uid}')

    def _dial(self, address, seconds):
        # No connect() with a limit waits while the server's backlog is full.
        self._sock.setblocking(False)
        last = time.monotonic() + seconds
        while True:
            try:
                self._sock.connect(address)
                return
            except BlockingIOError:
                if time.monotonic() > last:
                    raise TimeoutError('it accepts no connection') from None
            time.sleep(REDIAL)

    def send(self, frame, deadline):
        """Send ``frame``. If this raises, the server cannot act on it.

        Not a whole frame was sent then, and servers act on whole ones.
        """
        self._sock.settimeout(left(deadline))
        self._sock.sendall(frame)

    def receive(self, deadline):
        """The next frame; raises as :func:`receive` does, or OSError."""
        self._sock.settimeout(None)
        return receive(self._sock, deadline)

    def is_usable(self):
        """Whether the server is there still and owes us nothing."""
        self._sock.setblocking(False)
        try:
            self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def hang_up(self):
        """Close, for all who share the descriptor: forked children."""
        with contextlib.suppress(OSError):      # the server was quicker
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def forget(self):
        """Close our own descriptor only."""
        self._sock.close()


class Pool:
    """A client's connections, by the path of the server's socket."""

    def __init__(self):
        self._lock = threading.Lock()
        self._idle = collections.defaultdict(list)
        self._links = set()

    def take(self, path):
        """An unused connection to ``path`` that still works, or None."""
        while True:
            with self._lock:
                if not self._idle[path]:
                    return None
                link = self._idle[path].pop()
            if link.is_usable():
                return link
            self.drop(link)

    def connect(self, path, deadline):
        """A new connection to ``path``; OSError if there can be none."""
        link = Link(path, deadline)
        with self._lock:
            self._links.add(link)
        return link

    def give_back(self, link):
        """The request is over and the connection in order."""
        with self._lock:
            if link in self._links and len(self._idle[link.path]) < IDLE:
                self._idle[link.path].append(link)
                return
        self.drop(link)

    def drop(self, link):
        """Close a connection that nobody will use again."""
        with self._lock:
            self._links.discard(link)
        link.hang_up()

    def keep_only(self, paths):
        """Close unused connections to servers other than ``paths``."""
        with self._lock:
            gone = [link for path in self._idle.keys() - set(paths)
                    for link in self._idle.pop(path)]
        for link in gone:
            self.drop(link)

    def close(self):
        """Close what is unused now, and the rest when it is given back."""
        self.keep_only([])
        with self._lock:
            self._links.clear()

    def forget(self):
        """In a forked child: these are the parent's, leave them alone.

        Without the lock, which a thread that did not survive may hold.
        """
        for link in self._links:
            link.forget()
