"""Prometheus is answered, whatever other clients do."""

import contextlib
import os
import socket
import urllib.error
import urllib.request

import pytest

from computed import exception
from computed import metrics
from computed.service import metrics_server
from tests.support import fixtures
from tests.support import waiting

LIMITS = metrics_server.Limits(seconds=0.5, connections=8)


@pytest.fixture
def serve(registry, tmp_path):
    """A function that starts a server at an address, by default a free one."""
    with contextlib.ExitStack() as ends:
        def serve(address=None, limits=None, **options):
            if address is None:
                with socket.create_server(('127.0.0.1', 0)) as free:
                    address = f'127.0.0.1:{free.getsockname()[1]}'
            conf = fixtures.make_conf(
                tmp_path, metrics_address=address, **options)
            ends.callback(metrics_server.serve(registry, conf, None, limits))
            return address
        yield serve
        serve.end = ends.pop_all().close
        serve.end()


def scrape(address, path='/metrics'):
    with urllib.request.urlopen(f'http://{address}{path}',
                                timeout=60) as reply:
        return reply.read().decode()


def connect(address, sent=b'GET /metr'):
    host, _, port = address.rpartition(':')
    found = socket.create_connection((host, int(port)), timeout=60)
    found.sendall(sent)
    return found


def test_prometheus_reads_the_service_until_its_end(registry, tmp_path):
    metrics.claims_lost.labels('stop').inc()
    with socket.create_server(('127.0.0.1', 0)) as free:
        address = f'127.0.0.1:{free.getsockname()[1]}'
    conf = fixtures.make_conf(tmp_path, metrics_address=address)
    end = metrics_server.serve(registry, conf)
    try:
        text = scrape(address)
    finally:
        end()
    assert 'computed_claims_lost_total{operation="stop"} 1.0' in text
    assert 'process_cpu_seconds_total' in text
    # the port is free again
    metrics_server.serve(metrics.Registry(), conf)()


def test_a_socket_that_was_removed_is_made_again(serve, tmp_path):
    path = tmp_path / 'metrics.sock'
    serve(f'unix:{path}')

    def answers():
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(str(path))
            client.sendall(b'GET /metrics HTTP/1.0\r\n\r\n')
            return b'200 OK' in client.recv(100)
    assert answers()
    path.unlink()
    waiting.wait_for(path.exists, 10, 'the socket')
    assert answers()


def test_nothing_else_is_served(serve):
    address = serve()
    for path in ('/', '/metrics/x'):
        with pytest.raises(urllib.error.HTTPError, match='404'):
            scrape(address, path)


def test_half_requests_keep_nobody_out(serve):
    address = serve(limits=metrics_server.Limits(
        seconds=3600, connections=8))
    with contextlib.ExitStack() as clients:
        for _ in range(40):
            clients.enter_context(connect(address))
        assert 'computed_repairs' in scrape(address)
        late = connect(address)
        clients.enter_context(late)
        late.sendall(b'ics HTTP/1.0\r\n\r\n')
        with late.makefile('rb') as reply:
            assert reply.readline().startswith(b'HTTP/1.0 200')


def test_a_half_request_ends_in_time_although_it_goes_on(serve):
    address = serve(limits=LIMITS)
    with connect(address) as client:
        client.settimeout(0.05)

        def gone():
            client.sendall(b'x')
            with contextlib.suppress(TimeoutError):
                return client.recv(1) == b''
        with contextlib.suppress(ConnectionError):
            waiting.wait_for(gone, 10, 'the end of the connection')


def test_a_request_has_a_size(serve):
    address = serve(limits=metrics_server.Limits(seconds=3600, size=1000))
    with connect(address, b'GET /metrics HTTP/1.0\r\nx: ' + b'a' * 976
                 ) as client:
        assert client.recv(100).startswith((b'', b'HTTP/1.0 400'))


def test_a_socket_of_a_path_is_served(serve, tmp_path, registry):
    path = str(tmp_path / 'metrics.sock')
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    serve(f'unix:{path}')
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        client.sendall(b'GET /metrics HTTP/1.0\r\n\r\n')
        with client.makefile('rb') as reply:
            assert reply.readline().startswith(b'HTTP/1.0 200')
    with pytest.raises(exception.ConfigError, match='in use'):
        metrics_server.serve(registry, fixtures.make_conf(
            tmp_path, metrics_address=f'unix:{path}'))


@pytest.mark.parametrize('address, problem', [
    ('127.0.0.1:http', "'http' is not a port"),
    ('127.0.0.1:99999999', 'is not a port'), ('127.0.0.1', 'is not a port'),
    ('127.0.0.1:-1', 'is not a port'),
    ('0.0.0.0:0', 'metrics_allow_remote must be true'),
    (':0', 'metrics_allow_remote must be true'),
    ('[::]:0', 'metrics_allow_remote must be true'),
    ('192.0.2.1:9189', 'metrics_allow_remote must be true'),
    ('unix:', 'a directory|in use|is a dir')])
def test_an_address_that_cannot_be_is_refused(serve, address, problem):
    with pytest.raises(exception.ConfigError, match=problem):
        serve(address)


def test_an_address_of_another_machine_is_refused(serve):
    with pytest.raises(exception.ConfigError, match='assign'):
        serve('192.0.2.1:9189', metrics_allow_remote=True)


def test_a_path_that_others_may_take_is_refused(serve, tmp_path):
    (tmp_path / 'open').mkdir()
    (tmp_path / 'open').chmod(0o777)
    with pytest.raises(exception.ConfigError, match='is writable by other'):
        serve(f'unix:{tmp_path}/open/x')
    assert os.listdir(tmp_path / 'open') == []


def test_every_address_is_served_on_demand(serve):
    serve('0.0.0.0:0', metrics_allow_remote=True)
    serve('localhost:0')


def test_without_an_address_nothing_is_served(serve):
    assert serve('') == ''
