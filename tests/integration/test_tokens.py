"""Seeing one's own writes: through any conductor, on any replica."""

import random

import pytest

from computed import context
from computed import exception
from computed import states
from computed.db.routing import incarnation
from computed.objects import host as host_obj
from computed.objects import instance as instance_obj
from tests.integration import test_replication as replication
from tests.support import fixtures
from tests.support import waiting

UUID = fixtures.UUID
on_each_engine = replication.on_each_engine


@pytest.fixture
def side(tmp_path, database):
    """This process as a host of two conductors, either of which answers."""
    programs = [replication.start_conductor(tmp_path, database)]
    programs.append(fixtures.Program(
        'computed-conductor', tmp_path, '--config-file',
        str(tmp_path / 'computed.conf')))
    waiting.wait_for(lambda: len(list(
        tmp_path.glob('rpc/*conductor*'))) == 2, 20, 'two conductors')
    with fixtures.HostSide(tmp_path, tmp_path) as found:
        found.programs = programs
        waiting.wait_for(lambda: all(
            len(replication.usable(found)) == 2 for _ in range(8)))
        host_obj.Service.register(context.new(), fixtures.HOST, UUID, UUID,
                                  fixtures.BOOT, '0')
        replication.create()
        database.caught_up()
        yield found
    for program in programs:
        program.end()


def record(ctxt, old, new):
    assert instance_obj.InstanceList.record_power_states(
        ctxt, fixtures.HOST, [{
            'uuid': '00000000-0000-4000-8000-000000000000',
            'vm_state': 'active', 'old': old, 'new': new}],
        f'{UUID}:{UUID}') == 1


def seen(ctxt, **how):
    [found] = instance_obj.InstanceList.get_by_host(
        ctxt, fixtures.HOST, **how)
    return found.power_state


def flip(state):
    return states.SHUTDOWN if state == states.RUNNING else states.RUNNING


@on_each_engine
def test_every_write_is_seen_whoever_answers(side, database):
    chance = random.Random(4)
    stopped, answered, state = set(), set(), states.RUNNING
    for number in range(60):
        # Each replica stands still for some of the time.
        if number % 10 == 0:
            for replica in database.cluster.replicas:
                still = chance.random() < 0.5
                if still and replica.port not in stopped:
                    replica.stop_applying()
                    stopped.add(replica.port)
                elif not still and replica.port in stopped:
                    replica.start_applying()
                    stopped.remove(replica.port)
        if number == 30:
            # The token is the caller's: no conductor need remember it.
            side.programs[0].end()
            side.programs[0] = fixtures.Program(
                'computed-conductor', side.conf.state_path, '--config-file',
                f'{side.conf.state_path}/computed.conf')
        ctxt, new = context.new(), flip(state)
        record(ctxt, state, new)
        state = new
        try:
            assert seen(ctxt, use_slave=True) == state
        except exception.Busy:
            continue        # nobody else than the primary, too often
        answered.add((ctxt.reads.last.role, ctxt.reads.last.reason))
    assert ('primary', 'replica_behind_token') in answered
    database.cluster.mend()
    waiting.wait_for(lambda: _answered_by_a_replica(ctxt, state), 20)


def _answered_by_a_replica(ctxt, state):
    assert seen(ctxt, use_slave=True) == state
    return ctxt.reads.last.role == 'replica'


@on_each_engine
def test_an_exact_read_misses_nothing_others_wrote(side, database):
    state, roles = states.RUNNING, set()
    for number in range(16):
        if number == 8:
            for replica in database.cluster.replicas:
                replica.stop_applying()
        new = flip(state)
        record(context.new(), state, new)
        state, ctxt = new, context.new()
        if number < 8 and number % 2:
            database.caught_up()
        assert seen(ctxt, after='host') == state
        roles.add(ctxt.reads.last.role)
    assert roles == {'primary', 'replica'}


def refused(ctxt):
    try:
        # Either conductor may be asked.
        for _ in range(8):
            seen(ctxt, use_slave=True)
    except exception.Resync:
        return True
    return False


@on_each_engine
def test_a_restore_ends_what_was_written_before(side, database):
    ctxt = context.new()
    record(ctxt, states.RUNNING, states.SHUTDOWN)
    incarnation.renew(database.url)
    waiting.wait_for(lambda: refused(ctxt), 5,
                     'each conductor to hear of it, by its heartbeat')
    # A caller that starts again is served, by replicas once they know.
    waiting.wait_for(
        lambda: _answered_by_a_replica(context.new(), states.SHUTDOWN), 10)
