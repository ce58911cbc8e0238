"""Each service counts in a registry of its own."""

import gc
import weakref

import prometheus_client as prom

from computed import metrics


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


def test_metrics_of_other_packages_are_shown_too(registry, monkeypatch):
    monkeypatch.setattr(metrics, '_defined', list(metrics._defined))
    # A package is imported after the service has made its registry.
    metrics.Counter('acme_swept', 'Of a package.').inc()
    assert value(registry, 'acme_swept_total') == 1
    own = prom.Counter('acme_own', 'Of a package.')
    try:
        own.inc()
        registry.show_process()
        assert value(registry, 'acme_own_total') == 1
    finally:
        prom.REGISTRY.unregister(own)
