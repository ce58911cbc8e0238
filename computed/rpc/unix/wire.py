"""What ``unix://`` puts on the wire: frames, and the names of sockets.

A frame is four bytes of length (big-endian), then a JSON object. A socket's
file name says what its server serves::

    <exchange>,<topic>,<server>,<pid>-<random>.sock
"""

import contextlib
import os
import socket
import struct
import typing
import urllib.parse
import weakref
from collections import abc

from oslo_serialization import jsonutils

from computed import chance
from computed import clock

LIMIT = 64 << 20            # bytes of JSON in an answer
REQUEST_LIMIT = 4 << 20     # in a request; parsed, they cost thirty times that
STUCK = 30                  # seconds without progress until a send fails
FRAME = 30                  # seconds that a request may take to come in
HEADER = struct.Struct('!I')


class TooLarge(ValueError):
    """A message has more bytes than its limit."""


class Holder(typing.Protocol):
    """An object that has sockets open."""

    def abandon(self) -> None: ...


# A child made by fork must not use the sockets of its parent.
_holders: weakref.WeakSet[Holder] = weakref.WeakSet()


def abandon_after_fork(holder: Holder) -> None:
    """Call ``holder.abandon()`` in each child made by fork from now on."""
    _holders.add(holder)


def _after_fork() -> None:
    for holder in _holders:
        holder.abandon()


os.register_at_fork(after_in_child=_after_fork)


# -- frames

def encode(content: dict[str, typing.Any], limit: int | None = None) -> bytes:
    """Return ``content`` as one frame.

    :param limit: bytes of JSON; None: LIMIT
    :raises TooLarge: it is larger than that
    :raises ValueError: JSON cannot express it
    """
    body = jsonutils.dump_as_bytes(content)
    if limit is None:
        limit = LIMIT
    if len(body) > limit:
        raise TooLarge(f'a message of {len(body)} bytes exceeds the limit '
                       f'of {limit}')
    return HEADER.pack(len(body)) + body


def decode(body: bytes) -> dict[str, typing.Any]:
    """Return the dict in the body of a frame.

    :raises ValueError: the body is not a JSON object
    """
    try:
        content = jsonutils.loads(body)
    except RecursionError:
        raise ValueError('nested too deeply') from None
    if not isinstance(content, dict):
        raise ValueError(f'a {type(content).__name__} is not a message')
    return content


def receive(sock: socket.socket, deadline: float | None = None
            ) -> dict[str, typing.Any]:
    """Read one frame and return its dict.

    :param deadline: on the monotonic clock; None: wait without a limit
    :raises EOFError: the peer has closed, between two frames
    :raises TimeoutError: the deadline has passed
    :raises ValueError: the frame is too large, cut short, or malformed
    """
    header = _read(sock, HEADER.size, deadline)
    if not header:
        raise EOFError('the connection was closed')
    size = _size(header, LIMIT)
    body = _read(sock, size, deadline)
    _check_length(body, size)
    return decode(body)


class Frame:
    """A request that has begun to come in, at a server."""

    def __init__(self, sock: socket.socket) -> None:
        """Wait for its first byte, without a limit.

        :raises EOFError: the client has closed, between two frames
        """
        self._sock = sock
        self._first = _read(sock, 1, None)
        if not self._first:
            raise EOFError('the connection was closed')
        self._deadline = clock.monotonic() + FRAME

    def read_size(self) -> int:
        """Return the bytes of its body.

        :raises TimeoutError: it takes too long to come in
        :raises ValueError: it is too large, or cut short
        """
        return _size(self._first + self._read(HEADER.size - 1),
                     REQUEST_LIMIT)

    def read_body(self, size: int) -> dict[str, typing.Any]:
        """Return its content.

        :raises TimeoutError: it takes too long to come in
        :raises ValueError: it is cut short, or malformed
        """
        # It may have waited for the server in between.
        self._deadline = clock.monotonic() + FRAME
        body = self._read(size)
        _check_length(body, size)
        return decode(body)

    def _read(self, size: int) -> bytes:
        # Other threads send on this socket, with the socket's own limit. So
        # that limit is kept, and the deadline is looked at in between.
        data = bytearray()
        while len(data) < size:
            with contextlib.suppress(TimeoutError):
                chunk = self._sock.recv(min(size - len(data), 1 << 18))
                if not chunk:
                    break
                data += chunk
            if len(data) < size:
                left(self._deadline)
        return bytes(data)


def checked_request(content: dict[str, typing.Any]) -> dict[str, typing.Any]:
    """Return ``content`` with all keys of a request.

    :raises ValueError: one is missing or of the wrong type
    """
    request = {'id': None, 'timeout': None} | content
    for key, kind in (('id', str | None), ('ctxt', dict), ('msg', dict),
                      ('timeout', int | float | None)):
        if not isinstance(request.get(key), kind):
            raise ValueError(f'a request without a proper {key!r}')
    return request


def _read(sock: socket.socket, size: int, deadline: float | None) -> bytes:
    """Return ``size`` bytes, or fewer if the peer closes before."""
    data = bytearray()      # grows with what comes, not with what is announced
    while len(data) < size:
        if deadline is not None:
            sock.settimeout(left(deadline))
        try:
            chunk = sock.recv(min(size - len(data), 1 << 18))
        except TimeoutError:
            left(deadline)      # the limit of the socket may be for sends
            continue
        if not chunk:
            break
        data += chunk
    return bytes(data)


def _size(header: bytes, limit: int) -> int:
    _check_length(header, HEADER.size)
    size: int = HEADER.unpack(header)[0]
    if size > limit:
        raise ValueError(f'{size} bytes announced, the limit is {limit}')
    return size


def _check_length(data: bytes, size: int) -> None:
    if len(data) < size:
        raise ValueError('closed in the middle of a frame')


def left(deadline: float | None) -> float | None:
    """Return the seconds until ``deadline``; None: there is no deadline.

    :param deadline: on the monotonic clock

    :raises TimeoutError: it has passed
    """
    if deadline is None:
        return None
    seconds = deadline - clock.monotonic()
    if seconds <= 0:
        raise TimeoutError('the time is up')
    return seconds


# -- names

def socket_name(exchange: str, topic: str, server: str) -> str:
    """Return a file name for a new server of a target; no name is reused."""
    return ','.join([_quoted(exchange), _quoted(topic), _quoted(server),
                     _unique()])


def _unique() -> str:
    return f'{os.getpid()}-{chance.uuid()[-12:]}.sock'


def another_name(name: str) -> str:
    """Return a new name for the server whose socket had ``name``."""
    return ','.join([*name.split(',')[:3], _unique()])


def matching(names: abc.Iterable[str], exchange: str, topic: str,
             server: str | None = None) -> list[str]:
    """Return those of ``names`` that serve a target.

    :param server: None: all servers of the topic
    """
    wanted = [_quoted(exchange), _quoted(topic)]
    if server:
        wanted.append(_quoted(server))
    return [name for name in names
            if name.count(',') == 3 and name.endswith('.sock')
            and name.split(',')[:len(wanted)] == wanted]


def _quoted(part: str) -> str:
    return urllib.parse.quote(part, safe='')
