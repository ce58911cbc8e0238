"""The proxy that other tests trust: does it hold what it should?"""

import socket
import threading

import pytest

from tests import servers
from tests.support import waiting


@pytest.fixture
def echo():
    """The port of a server that says back what it hears."""
    listener = socket.create_server(('127.0.0.1', 0))

    def serve():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(client,),
                             daemon=True).start()

    def answer(client):
        while data := client.recv(100):
            client.sendall(data)
        client.close()
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(60)


@pytest.fixture
def proxy(echo):
    with servers.Proxy(echo) as found:
        yield found


def connect(proxy):
    return socket.create_connection(('127.0.0.1', proxy.port), timeout=5)


def test_what_is_not_held_passes_both_ways(proxy):
    with connect(proxy) as client:
        client.sendall(b'hello')
        assert client.recv(100) == b'hello'


@pytest.mark.parametrize('way', [servers.TO_SERVER, servers.TO_CLIENT])
def test_what_is_held_arrives_when_it_is_released(proxy, way):
    with connect(proxy) as client:
        proxy.hold(way)
        client.sendall(b'hello')
        waiting.wait_for(lambda: proxy.held[way] == 5)
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.recv(100)
        client.settimeout(5)
        proxy.release()
        assert client.recv(100) == b'hello'
        assert proxy.held[way] == 0


def test_a_black_hole_neither_accepts_nor_refuses(proxy):
    with connect(proxy) as before:
        proxy.blackhole()
        before.settimeout(0.1)
        before.sendall(b'hello')
        with pytest.raises(TimeoutError):
            before.recv(100)
        with pytest.raises(TimeoutError):
            socket.create_connection(('127.0.0.1', proxy.port), timeout=0.3)
        proxy.release()
        before.settimeout(5)
        assert before.recv(100) == b'hello'
    with connect(proxy) as client:
        client.sendall(b'again')
        assert client.recv(100) == b'again'


def test_a_server_that_goes_is_seen_by_the_client(proxy):
    with connect(proxy) as client:
        client.sendall(b'hello')
        assert client.recv(100) == b'hello'
        proxy.drop()
        assert client.recv(100) == b''
