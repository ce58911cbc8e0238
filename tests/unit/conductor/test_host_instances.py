"""What a conductor knows of the instances of hosts."""

import pytest

from computed.conductor import host_instances
from computed.objects import digest

A, B = 'a', 'b'


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def known(clock):
    return host_instances.HostInstances(clock)


def tell(known, *uuids, whole=False, host='h1', version=1):
    return known.hear(host, version, len(uuids), digest.of_uuids(uuids),
                      uuids if whole else None)


def test_a_host_that_nobody_knows_tells_all(known):
    assert not tell(known, A)
    assert known.of('h1') is None
    assert tell(known, A, whole=True)
    assert tell(known, A, version=7)
    assert known.of('h1').uuids == {A}
    assert known.of('h1').version == 7
    assert not tell(known, A, host='h2')


@pytest.mark.parametrize('uuids', [(), (B,), (A, B)])
def test_another_list_is_asked_for(known, uuids):
    tell(known, A, whole=True)
    assert not tell(known, *uuids)
    assert known.of('h1').uuids == {A}
    tell(known, *uuids, whole=True)
    assert known.of('h1').uuids == {*uuids}


def test_an_empty_host_is_known_too(known):
    assert not tell(known)
    assert tell(known, whole=True)
    assert tell(known)


def test_a_host_that_tells_nothing_is_forgotten(known, clock):
    tell(known, A, whole=True)
    clock.now += host_instances.FORGOTTEN_AFTER - 1
    assert tell(known, A)
    clock.now += host_instances.FORGOTTEN_AFTER + 1
    assert not tell(known, B, host='h2')
    assert known.of('h1') is None


def test_the_order_of_uuids_does_not_matter():
    assert digest.of_uuids([A, B]) == digest.of_uuids([B, A])
