"""Serve the metrics of a service to Prometheus.

A client that sends half a request, or a byte now and then, must neither keep
others out nor cost the service a thread for ever. So a request has a deadline
and a size, and if too many are only half there, the oldest is dropped.
"""

import contextlib
import dataclasses
import io
import ipaddress
import os
import socket
import socketserver
import stat
import threading
import typing
from collections import abc
from wsgiref import simple_server

import prometheus_client as prom
from oslo_config import cfg
from oslo_log import log as logging

from computed import clock
from computed import concurrency
from computed import exception
from computed import files
from computed import metrics

LOG = logging.getLogger(__name__)
UNIX = 'unix:'


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a client can ask for.

    :ivar seconds: from the connection to the end of the request, and again
        to the end of the answer
    :ivar connections: at once
    :ivar size: bytes of a request
    """

    seconds: float = 5.0
    connections: int = 64
    size: int = 16384


def serve(registry: metrics.Registry, conf: cfg.ConfigOpts,
          group: str | None = None, limits: Limits | None = None,
          ) -> abc.Callable[[], None]:
    """Let Prometheus read the metrics, at ``/metrics``.

    :param group: the group of the options; None: ``[DEFAULT]``
    :returns: a function that ends the server
    :raises computed.exception.ConfigError: no server can listen there
    """
    options = conf[group] if group else conf
    where = options.metrics_address
    if not where:
        return lambda: None
    try:
        family, address = _address(where, options.metrics_allow_remote)
        server = _Server(family, address, _only_metrics(
            prom.make_wsgi_app(registry.collectors)), limits or Limits())
    except (OSError, ValueError) as error:
        raise exception.ConfigError(
            option=f'[{group or "DEFAULT"}] metrics_address', value=where,
            problem=getattr(error, 'strerror', None) or error,
            remedy='Give HOST:PORT of this machine, such as 127.0.0.1:9180, '
                   'or unix:/PATH, or nothing.') from error
    registry.show_process()
    thread = concurrency.thread('metrics', server.serve_forever)
    thread.start()
    return server.end


def _address(text: str, remote: bool
             ) -> tuple[socket.AddressFamily, typing.Any]:
    """Return the kind of a socket and its address.

    :param remote: it may be one that other machines reach
    :raises ValueError: the text names no address, or not such a one
    :raises OSError: the host is not known, or others could take the path
    """
    if text.startswith(UNIX):
        path = '/' + text.removeprefix(UNIX).lstrip('/')
        files.ensure_trusted(os.path.dirname(path))
        return socket.AF_UNIX, path
    host, _, port = text.rpartition(':')
    if not port.isdecimal() or int(port) > 65535:
        raise ValueError(f'{port!r} is not a port')
    [(family, _, _, _, address), *_] = socket.getaddrinfo(
        host.strip('[]') or None, int(port), type=socket.SOCK_STREAM,
        flags=socket.AI_PASSIVE)
    if not (remote or ipaddress.ip_address(address[0]).is_loopback):
        raise ValueError('other machines can read it, so metrics_allow_remote '
                         'must be true')
    return family, address


App: typing.TypeAlias = abc.Callable[..., abc.Iterable[bytes]]


def _only_metrics(app: App) -> App:
    """Answer no other path: the library would answer any."""
    def answer(environ: dict[str, typing.Any],
               start: abc.Callable[..., typing.Any]) -> abc.Iterable[bytes]:
        if environ['PATH_INFO'] == '/metrics':
            return app(environ, start)
        start('404 Not Found', [('Content-Type', 'text/plain')])
        return [b'The metrics are at /metrics.\n']
    return answer


class _Request(io.RawIOBase):
    """The bytes of one request, up to a size and a moment."""

    def __init__(self, connection: socket.socket, limits: Limits) -> None:
        self._connection = connection
        self._left = limits.size
        self._deadline = clock.monotonic() + limits.seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: typing.Any) -> int:
        # A timeout of 0 would mean not to wait at all.
        self._connection.settimeout(
            max(0.001, self._deadline - clock.monotonic()))
        count = self._connection.recv_into(buffer, min(
            len(buffer), self._left)) if self._left else 0
        self._left -= count
        return count


class _Handler(simple_server.WSGIRequestHandler):
    """Answers one request."""

    server: '_Server'

    def setup(self) -> None:
        super().setup()
        self.rfile = io.BufferedReader(
            _Request(self.connection, self.server.limits))
        if self.server.address_family == socket.AF_UNIX:
            self.client_address = ('unix', 0)

    def get_environ(self) -> dict[str, typing.Any]:
        self.server.has_asked(self.connection)
        # This limits the answer.
        self.connection.settimeout(self.server.limits.seconds)
        return super().get_environ()

    def log_message(self, *arguments: object) -> None:
        """Log nothing: a request is nothing new."""


class _Server(simple_server.WSGIServer):
    """Listens, and has a thread for each connection."""

    request_queue_size = 128

    def __init__(self, family: socket.AddressFamily, address: typing.Any,
                 app: App, limits: Limits) -> None:
        self.address_family = family
        self.limits = limits
        self._lock = threading.Lock()
        # Whose request is not whole yet, oldest first, and all others.
        self._asking: dict[socket.socket, None] = {}
        self._asked: set[socket.socket] = set()
        super().__init__(address[:2] if family == socket.AF_INET else address,
                         _Handler)
        self.set_app(app)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_UNIX:
            _remove_dead(str(self.server_address))
        # HTTPServer would ask for the name of the host, which may take long.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = 'metrics', 0
        self.setup_environ()
        if self.address_family == socket.AF_UNIX:
            self._own(str(self.server_address))

    def _own(self, path: str) -> None:
        # The folder says who may connect.
        os.chmod(path, 0o666)
        self._number = _number(path)

    def service_actions(self) -> None:
        """Listen again if the socket was removed; called twice a second."""
        path = str(self.server_address)
        if self.address_family != socket.AF_UNIX or (
                _number(path) is not None):
            return
        with contextlib.suppress(OSError), socket.socket(
                socket.AF_UNIX) as made:
            made.bind(path)
            made.listen(self.request_queue_size)
            # The loop that accepts knows this descriptor by its number.
            os.dup2(made.fileno(), self.socket.fileno(), inheritable=False)
            self._own(path)
            LOG.warning('The socket %s was removed. Listening there again.',
                        path)

    def process_request(self, request: typing.Any,
                        client_address: typing.Any) -> None:
        """Begin to answer; drop a connection if there are too many."""
        with self._lock:
            if len(self._asking) + len(self._asked) >= (
                    self.limits.connections):
                if not self._asking:
                    self.shutdown_request(request)
                    return
                oldest = next(iter(self._asking))
                del self._asking[oldest]
                _hang_up(oldest)
            self._asking[request] = None
        try:
            concurrency.thread('metrics request', self._answer, request,
                               client_address).start()
        except RuntimeError:    # there can be no more threads
            self._over(request)

    def has_asked(self, request: socket.socket) -> None:
        """Note that a request is whole: it is answered in any case."""
        with self._lock:
            if request in self._asking:
                del self._asking[request]
                self._asked.add(request)

    def _answer(self, request: socket.socket,
                client_address: typing.Any) -> None:
        try:
            self.finish_request(request, client_address)
        except Exception as error:      # its client went away, or was slow
            LOG.debug('A request for metrics failed: %s', error)
        finally:
            self._over(request)

    def _over(self, request: socket.socket) -> None:
        with self._lock:
            self._asking.pop(request, None)
            self._asked.discard(request)
        self.shutdown_request(request)

    def end(self) -> None:
        """Listen no more, and hang up."""
        self.shutdown()
        self.server_close()
        path = str(self.server_address)
        if self.address_family == socket.AF_UNIX and (
                _number(path) == self._number):
            with contextlib.suppress(OSError):
                os.unlink(path)
        with self._lock:
            for request in (*self._asking, *self._asked):
                _hang_up(request)


def _hang_up(connection: socket.socket) -> None:
    """Let the thread that reads or writes find the end of a connection."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _number(path: str) -> tuple[int, int] | None:
    """Return device and inode of a file; None: there is none."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError:     # it cannot be looked at now
        return 0, 0
    return status.st_dev, status.st_ino


def _remove_dead(path: str) -> None:
    """Remove the socket of a server that has ended."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(path)
            except ConnectionRefusedError:
                os.unlink(path)
