"""A TCP proxy on loopback that can hold back what passes through it."""

import contextlib
import socket
import threading
import time

from tests.servers import base

TO_SERVER, TO_CLIENT = 'to server', 'to client'


class Proxy:
    """Passes bytes between its own port and that of a server, until told
    not to. Closed at the end of the ``with``.

    :ivar port: where it listens
    :ivar delay: seconds by which each way is longer
    :ivar held: for each direction, how many bytes wait to be passed on
    """

    def __init__(self, server_port):
        self.server_port = server_port
        self.port = base.free_port()
        self.delay = 0
        self.held = {TO_SERVER: 0, TO_CLIENT: 0}
        self._flows = {way: threading.Event() for way in self.held}
        self._sockets = []
        self._fillers = []
        self._accepting = threading.Event()
        self._parked = threading.Event()
        self.release()
        self._listener = socket.create_server(('127.0.0.1', self.port),
                                              backlog=1)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def hold(self, *ways):
        """Pass on nothing; connections stay open, new ones are accepted.

        :param ways: ``TO_SERVER``, ``TO_CLIENT``; without any, both
        """
        for way in ways or self._flows:
            self._flows[way].clear()

    def release(self):
        """Pass on what was held, and all that follows."""
        for filler in self._fillers:
            filler.close()
        self._fillers.clear()
        self._parked.clear()
        self._accepting.set()
        for flow in self._flows.values():
            flow.set()

    def blackhole(self):
        """Let no connection be made, and refuse none; nothing passes.

        As a machine does that is gone from the network.
        """
        self.hold()
        self._accepting.clear()
        # The thread has one more in its accept().
        self._fill()
        self._parked.wait(60)
        # The kernel drops requests once enough connections wait for us.
        with contextlib.suppress(TimeoutError):
            while True:
                self._fill()

    def _fill(self):
        filler = socket.socket()
        self._fillers.append(filler)
        filler.settimeout(0.2)
        filler.connect(('127.0.0.1', self.port))

    def drop(self):
        """Break every connection."""
        while self._sockets:
            with contextlib.suppress(OSError):
                self._sockets.pop().shutdown(socket.SHUT_RDWR)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if not self._accepting.is_set():
                self._parked.set()
                self._accepting.wait()
            self._join(client)

    def _join(self, client):
        try:
            server = socket.create_connection(('127.0.0.1',
                                               self.server_port))
        except OSError:
            client.close()
            return
        self._sockets += [client, server]
        for source, sink, way in ((client, server, TO_SERVER),
                                  (server, client, TO_CLIENT)):
            threading.Thread(target=self._pass, args=(source, sink, way),
                             daemon=True).start()

    def _pass(self, source, sink, way):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.held[way] += len(data)
                self._flows[way].wait()
                time.sleep(self.delay)
                self.held[way] -= len(data)
                sink.sendall(data)
        # Either end may be the first to go; the other is told.
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.drop()
        self.release()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(60)
