"""An address that moves, as a virtual IP or a proxy before a database does.
"""

import contextlib
import socket
import threading

from tests.servers import base


class Forwarder:
    """Leads each new connection to the server pointed to.

    Connections that are open already stay where they lead, as they do with
    most proxies, unless they are cut.
    """

    def __init__(self, port=None):
        self.port = base.free_port()
        self._target = port
        self._pairs = set()
        self._lock = threading.Lock()
        self._listening = socket.create_server(('127.0.0.1', self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def point_to(self, port):
        """From now on; None: nowhere, connections are refused."""
        self._target = port

    def cut(self):
        """Close every connection, as when the machine loses the address."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            _close(pair)

    def close(self):
        # A thread in accept() does not notice that its socket is closed.
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()

    def _accept(self):
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(('127.0.0.1', self._target))
            except (OSError, TypeError):
                client.close()
                continue
            pair = (client, server)
            with self._lock:
                self._pairs.add(pair)
            for ends in (pair, pair[::-1]):
                threading.Thread(target=self._carry, args=(pair, *ends),
                                 daemon=True).start()

    def _carry(self, pair, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with self._lock:
            self._pairs.discard(pair)
        _close(pair)


def _close(pair):
    for end in pair:
        # Wakes the thread that waits for it; closing alone would not.
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
