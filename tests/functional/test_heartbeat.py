"""Heartbeats, and what happens to one that the database does not know."""

import functools
import uuid

import pytest

from computed import clock
from computed import context
from computed import exception
from computed.claims import absence
from computed.objects import host as host_obj
from computed.objects import instance as instance_obj
from computed.service import heartbeat
from computed.service import identity
from computed.service import registration
from tests.support import fixtures
from tests.support import waiting

SECOND = str(uuid.UUID(int=2))
# What a heartbeat does depends on the errors that the transport raises.
pytestmark = pytest.mark.both_transports


class Bench:
    def __init__(self, side):
        self.side = side
        self.claims = side.manager(Driver()).claims
        boot_id = self.claims.claim_owner.partition(':')[2]
        self.identity = identity.Identity(
            fixtures.SERVICE, boot_id, fixtures.BOOT, None, clock.monotonic())
        self.ended = []
        self.registrar = registration.Registrar(
            side.conf, self.identity, 'place')
        self.heartbeats = heartbeat.Heartbeat(
            side.conf, self.identity, self.claims, dict,
            self.registrar.register, self.ended.append)


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


def another(pair, **columns):
    """Register another run, which neither proves anything nor is silent."""
    put(pair, boot_id=str(uuid.uuid4()), place='elsewhere', **columns)


def heard(pair):
    pair.sql(pair.primary, 'UPDATE services SET heartbeat = heartbeat + 1')


def act(bench):
    return bench.claims.claim(context.new(), fixtures.UUID, 'test', {})


def test_a_registration_that_a_failover_has_lost_is_made_again(bench, pair):
    put(pair, boot_id=str(uuid.uuid4()), began=0)
    bench.heartbeats.beat()
    assert ours(pair, bench)
    bench.heartbeats.beat()
    assert bench.ended == []
    assert act(bench)


def test_so_is_the_first_ever(bench, pair):
    pair.sql(pair.primary, 'DELETE FROM services')
    bench.heartbeats.beat()
    assert ours(pair, bench)
    assert bench.ended == []


def test_so_is_one_that_names_a_run_elsewhere_that_has_ended(bench, pair):
    another(pair)
    bench.heartbeats.beat()
    assert not ours(pair, bench)
    silence(pair)
    bench.heartbeats.beat()
    assert ours(pair, bench)
    assert bench.ended == []
    assert act(bench)


def silence(pair):
    fixtures.silence(functools.partial(pair.sql, pair.primary),
                     fixtures.HOST, 60)


def test_a_copy_that_reports_ends_the_replaced_run(bench, pair):
    another(pair)
    bench.heartbeats.beat()
    assert bench.ended == []
    heard(pair)
    bench.heartbeats.beat()
    assert [type(error) for error in bench.ended] == [exception.HostLost]
    assert not ours(pair, bench)


def test_another_service_ends_it_at_once(bench, pair):
    another(pair, service_id=str(uuid.uuid4()))
    bench.heartbeats.beat()
    assert [type(error) for error in bench.ended] == [exception.HostLost]


def test_a_run_that_may_be_replaced_does_not_act(bench, pair):
    claim = act(bench)
    another(pair)
    bench.heartbeats.beat()
    with pytest.raises(exception.Replaced):
        claim.ensure_live()
    with pytest.raises(exception.Replaced):
        act(bench)


def test_nothing_is_done_while_it_asks_to_be_registered_again(bench, pair):
    """The answer may take long."""
    register, found = bench.heartbeats._register, []

    def ask():
        found.append(bench.claims.registration.holds)
        return register()
    bench.heartbeats._register = ask
    put(pair, boot_id=str(uuid.uuid4()), began=0)
    bench.heartbeats.beat()
    assert found == [False]
    assert bench.claims.registration.holds


def test_a_replaced_run_that_does_not_know_gets_nothing(bench, pair):
    """Neither a claim, nor the end of one, nor a power state is written."""
    claim = act(bench)
    another(pair)
    before = pair.sql(pair.primary, 'SELECT * FROM instances')
    with pytest.raises(exception.Replaced):
        act(bench)
    assert bench.claims.settle(
        context.new(), claim, vm_state='stopped') is None
    with pytest.raises(exception.Replaced):
        instance_obj.InstanceList.record_power_states(
            context.new(), fixtures.HOST,
            [{'uuid': fixtures.UUID, 'vm_state': 'active',
              'old': fixtures.PRIMARY, 'new': 4}],
            bench.claims.claim_owner)
    assert pair.sql(pair.primary, 'SELECT * FROM instances') == before


def test_the_end_of_its_claim_waits_until_it_is_registered_again(
        bench, pair):
    claim = act(bench)
    another(pair)
    bench.claims.settle(context.new(), claim, vm_state='stopped')
    silence(pair)
    bench.heartbeats.beat()
    assert pair.sql(pair.primary, 'SELECT vm_state, claim_id FROM instances'
                    ) == [('stopped', None)]


def test_nor_is_a_guest_without_an_instance_claimed(bench, pair):
    pair.sql(pair.primary, 'DELETE FROM instances')
    listed = absence.listing(bench.claims, context.new())
    claim = absence.claim(
        bench.claims, context.new(), listed, fixtures.UUID, 'test')
    another(pair)
    with pytest.raises(exception.Replaced):
        absence.claim(bench.claims, context.new(), listed,
                      str(uuid.uuid4()), 'test')
    bench.claims.release(context.new(), claim)
    assert pair.sql(pair.primary, 'SELECT uuid FROM guest_claims') == [
        (fixtures.UUID,)]


@pytest.mark.parametrize('service_id, error', [
    (fixtures.SERVICE, exception.HostCopied),
    (SECOND, exception.HostTaken)])
def test_a_second_run_is_refused_as_long_as_the_first_is_heard(
        bench, pair, service_id, error):
    second = registrar(bench, service_id)
    with pytest.raises(exception.HostNotSilent):
        second.register()
    bench.heartbeats.beat()
    with pytest.raises(error):
        second.register()
    assert bench.ended == []
    assert ours(pair, bench)


def registrar(bench, service_id=fixtures.SERVICE, place='elsewhere'):
    return registration.Registrar(
        bench.side.conf, identity.Identity(
            service_id, str(uuid.uuid4()), fixtures.BOOT, None,
            clock.monotonic()),
        place)


def test_it_is_registered_once_the_first_was_silent(bench, pair):
    second = registrar(bench)
    with pytest.raises(exception.HostNotSilent):
        second.register()
    silence(pair)
    second.register()
    assert not ours(pair, bench)


def test_the_conductor_says_how_long_the_silence_is(bench, pair):
    """Not the host that asks."""
    bench.side.conf.set_override('service_down_time', 2)
    fixtures.silence(functools.partial(pair.sql, pair.primary),
                     fixtures.HOST, 50)
    try:
        with pytest.raises(exception.HostNotSilent):
            registrar(bench).register()
    finally:
        bench.side.conf.clear_override('service_down_time')
    assert ours(pair, bench)


@pytest.mark.parametrize('jump', ['2000-01-01', '2100-01-01'])
def test_no_clock_of_the_database_decides(bench, pair, jump):
    put(pair, last_seen=f'{jump} 00:00:00.000000')
    with pytest.raises(exception.HostNotSilent):
        registrar(bench).register()
    found = host_obj.Host.get_by_name(context.new(), fixtures.HOST)
    assert found.service.silent_for < 60


def test_a_late_request_does_not_undo_a_later_registration(bench, pair):
    late = registrar(bench, place='place')
    fixtures.register(fixtures.HOST, str(uuid.uuid4()))
    with pytest.raises(exception.HostNotSilent):
        late.register()


def incarnation(pair):
    return pair.sql(pair.primary,
                    'SELECT incarnation FROM database_identity')[0][0]


def test_a_host_tells_that_the_database_went_back(bench, pair):
    before = incarnation(pair)
    bench.claims.seen.note(before, 10 ** 6)
    bench.heartbeats.beat()
    after = incarnation(pair)
    assert after != before
    waiting.wait_for(
        lambda: bench.heartbeats.beat() or bench.claims.seen.of(after), 20,
        'what the conductor has seen since')
    assert incarnation(pair) == after


def test_nothing_is_written_to_a_database_of_others(bench, pair, caplog):
    """A conductor may be pointed to it while hosts run."""
    bench.registrar.database_id = str(uuid.uuid4())
    put(pair, boot_id=str(uuid.uuid4()), began=0)
    before = pair.sql(pair.primary, 'SELECT * FROM services')
    for _ in range(3):
        bench.heartbeats.beat()
    assert pair.sql(pair.primary, 'SELECT * FROM services') == before
    with pytest.raises(exception.Replaced):
        act(bench)
    [said] = fixtures.complaints(caplog)
    assert said.getMessage().startswith(
        'This host cannot be reported as alive: The guests of this host '
        'belong to database ')
    # It is the right one again.
    bench.registrar.database_id = bench.claims.owner.database_id
    caplog.clear()
    bench.heartbeats.beat()
    assert ours(pair, bench)
    assert 'This host is reported as alive again after ' in caplog.text
