"""Each service counts in a registry of its own."""

import gc
import socket
import urllib.request
import weakref

import prometheus_client as prom
import pytest

from computed import exception
from computed import metrics


@pytest.fixture
def registry():
    found = metrics.Registry()
    former = metrics.use(found)
    yield found
    metrics.use(former)


def value(registry, name, **labels):
    return registry.collectors.get_sample_value(name, labels)


def test_a_service_counts_for_itself(registry):
    metrics.repairs.labels('a', 'stop').inc()
    other = metrics.Registry()
    metrics.use(other)
    metrics.repairs.labels('a', 'stop').inc(5)
    metrics.unknown_guests.set(3)
    found = {'task': 'a', 'kind': 'stop'}
    assert value(registry, 'computed_repairs_total', **found) == 1
    assert value(other, 'computed_repairs_total', **found) == 5
    assert value(registry, 'computed_unknown_guests') == 0
    assert value(other, 'computed_unknown_guests') == 3


def test_a_gauge_does_not_outlive_its_service():
    class Router:
        age = 7

    def serve():
        router = Router()
        former = metrics.use(metrics.Registry())
        metrics.replica_age_seconds.labels('r').set_function(
            lambda: router.age)
        metrics.use(former)
        return weakref.ref(router)
    router = serve()
    gc.collect()
    assert router() is None


def test_prometheus_reads_the_service_until_its_end(registry):
    metrics.claims_lost.labels('stop').inc()
    with socket.create_server(('127.0.0.1', 0)) as free:
        address = f'127.0.0.1:{free.getsockname()[1]}'
    end = registry.serve('[DEFAULT] metrics_address', address)
    try:
        with urllib.request.urlopen(f'http://{address}/metrics') as reply:
            text = reply.read().decode()
    finally:
        end()
    assert 'computed_claims_lost_total{operation="stop"} 1.0' in text
    assert 'process_cpu_seconds_total' in text
    # the port is free again
    metrics.Registry().serve('x', address)()


@pytest.mark.parametrize('address, problem', [
    ('127.0.0.1:http', "'http' is not a port"), ('127.0.0.1:99999999', 'port'),
    ('192.0.2.1:9189', 'assign')])
def test_an_address_that_cannot_be_is_refused(registry, address, problem):
    with pytest.raises(exception.ConfigError, match=problem):
        registry.serve('[DEFAULT] metrics_address', address)


def test_without_an_address_nothing_is_served(registry):
    assert registry.serve('[DEFAULT] metrics_address', '')() is None


def test_metrics_of_other_packages_are_shown_too(registry, monkeypatch):
    monkeypatch.setattr(metrics, '_defined', list(metrics._defined))
    # A package is imported after the service has made its registry.
    metrics.Counter('acme_swept', 'Of a package.').inc()
    assert value(registry, 'acme_swept_total') == 1
    own = prom.Counter('acme_own', 'Of a package.')
    try:
        own.inc()
        end = registry.serve('[DEFAULT] metrics_address', '127.0.0.1:0')
        end()
        assert value(registry, 'acme_own_total') == 1
    finally:
        prom.REGISTRY.unregister(own)
