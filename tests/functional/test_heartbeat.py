"""Heartbeats, and what happens to one that the database does not know."""

import uuid

import pytest

from computed import context
from computed.objects import host as host_obj
from computed.service import heartbeat
from computed.service import identity
from tests.support import fixtures

SERVICE = str(uuid.UUID(int=1))
# What a heartbeat does depends on the errors that the transport raises.
pytestmark = pytest.mark.both_transports


class Bench:
    def __init__(self, side):
        self.identity = identity.Identity(
            SERVICE, str(uuid.uuid4()), 'boot', None)
        self.ended = []
        self.heartbeats = heartbeat.Heartbeat(
            side.conf, self.identity, side.manager(Driver()).claims, dict,
            self.register, self.ended.append)
        self.register()

    def register(self):
        host_obj.Service.register(
            context.new(), fixtures.HOST, SERVICE, self.identity.boot_id,
            'boot', '0', 60)


class Driver:
    """A driver without guests, which a manager needs."""

    def init_host(self, owner):
        pass


@pytest.fixture
def bench(host_side):
    return Bench(host_side)


def put(pair, **columns):
    changes = ', '.join(f'{name} = ?' for name in columns)
    pair.sql(pair.primary, f'UPDATE services SET {changes}',
             *columns.values())


def ours(pair, bench):
    return pair.sql(pair.primary, 'SELECT boot_id FROM services') == [
        (bench.identity.boot_id,)]


def test_a_registration_that_a_failover_has_lost_is_made_again(bench, pair):
    put(pair, boot_id=str(uuid.uuid4()))
    bench.heartbeats.beat()
    assert not ours(pair, bench)
    bench.heartbeats.beat()
    assert ours(pair, bench)
    bench.heartbeats.beat()
    assert bench.ended == []


def test_so_is_the_first_ever(bench, pair):
    pair.sql(pair.primary, 'DELETE FROM services')
    bench.heartbeats.beat()
    assert ours(pair, bench)
    assert bench.ended == []


def test_a_later_life_that_reports_ends_the_former(bench, pair):
    put(pair, boot_id=str(uuid.uuid4()))
    bench.heartbeats.beat()
    put(pair, last_seen='2026-01-01 00:00:00.000000')
    bench.heartbeats.beat()
    assert len(bench.ended) == 1
    assert not ours(pair, bench)


def test_another_service_ends_it_at_once(bench, pair):
    put(pair, service_id=str(uuid.uuid4()), boot_id=str(uuid.uuid4()))
    bench.heartbeats.beat()
    assert len(bench.ended) == 1
