"""Bad days of replicas, judged by the test's own record of every commit.

``READS=10000`` makes more of the reads under random lag.
"""

import contextlib
import functools
import os
import random
import threading
import time

import pytest
import sqlalchemy as sa

from computed import context
from tests import servers
from tests.support import conductors
from tests.support import fixtures
from tests.support import ledger
from tests.support import waiting

READS = int(os.environ.get('READS', '1200'))
UUID = fixtures.UUID

on_each_engine = pytest.mark.parametrize('engine', ['mariadb', 'postgresql'])


@pytest.fixture
def book():
    return ledger.Ledger()


@pytest.fixture
def writer(schema, book):
    """Commits on the primary, one after the other, until the end."""
    engine = sa.create_engine(schema.url)
    over = threading.Event()

    def write():
        number = 0
        while not over.wait(0.02):
            number += 1
            with book.writing(number), engine.begin() as connection:
                connection.exec_driver_sql(
                    f'UPDATE instances SET vcpus = {number}')
    thread = threading.Thread(target=write)
    thread.start()
    yield
    over.set()
    thread.join()
    engine.dispose()


def urls(database):
    return [database.url, *database.replica_urls]


def conducted(folder, database, **options):
    """A conductor with every replica of the database in use."""
    conductor = conductors.Conductor(folder, options.pop(
        'urls', urls(database)), **{
            'replica_timeout': 2, 'max_replica_lag': 2,
            'fallback_reads_per_second': 100000,
            'fallback_concurrency': 64, **options})
    conductor.wait_for_replicas(2)
    return conductor


def read(conductor, book, bound, session=''):
    """A tolerant read, recorded with who answered and what it said."""
    ctxt = context.RequestContext(lag_tolerant=True, max_staleness=bound)

    def call():
        found = conductor.call(ctxt, 'Instance', 'get_by_uuid', UUID)
        origin = ctxt.reads.last
        return found.vcpus, {
            'age': origin.age, 'ended': ctxt.reads.last_at, 'node': (
                origin.node if origin.role == 'replica' else 'primary')}
    return book.reading(call, bound=bound, session=session)


def node_name(server, database):
    return f'127.0.0.1:{server.port}/{database.name}'


# -- random lag

def lag_at_random(replica, over, chance):
    """Stop and start the applier, so that every age up to 3 s occurs."""
    while not over.wait(chance.uniform(0.05, 0.5)):
        replica.stop_applying()
        over.wait(chance.uniform(0.1, 3))
        replica.start_applying()


def read_often(conductor, book, count, bounds, number):
    chance = random.Random(number)
    for _ in range(count):
        read(conductor, book, chance.choice(bounds), session=number)


@on_each_engine
def test_no_answer_is_older_than_its_bound_under_random_lag(
        tmp_path, schema, book, writer):
    over = threading.Event()
    faults = [threading.Thread(target=lag_at_random, args=(
        replica, over, random.Random(number)))
        for number, replica in enumerate(schema.cluster.replicas)]
    with conducted(tmp_path, schema) as conductor:
        readers = [threading.Thread(target=read_often, args=(
            conductor, book, READS // 4, (0.5, 0.8, 1.2, 2, 3), number))
            for number in range(4)]
        for thread in (*faults, *readers):
            thread.start()
        for thread in readers:
            thread.join()
        over.set()
        for thread in faults:
            thread.join()
    assert len(book.reads) == READS
    ledger.check(book)
    # It happened: replicas answered, old and new, and were passed over.
    replied = [found for found in book.reads if found.node != 'primary']
    assert len(replied) > READS / 4
    assert any(ledger.staleness(book.writes, found) > 0.5
               for found in replied)
    assert len({found.node for found in book.reads}) == 3


# -- one replica, or its stream, stands still

@pytest.fixture
def stream(schema):
    """The way from the primary to the first replica, which can be held."""
    replica = schema.cluster.replicas[0]
    with servers.Proxy(schema.cluster.primary.port) as proxy:
        replica.follow_through(proxy.port)
        replica.caught_up(schema.cluster.primary)
        try:
            yield proxy
        finally:
            proxy.release()
            replica.start_applying()
            replica.follow_through(schema.cluster.primary.port)


def read_until(conductor, book, condition, seconds=20, bounds=(1, 2)):
    """Read and read, until ``condition()`` is true."""
    def found():
        if condition():
            return True
        for bound in bounds:
            read(conductor, book, bound)
        return False
    waiting.wait_for(found, seconds)


def reads_elsewhere(conductor, book, left, other):
    """Check that another node answers, and not the one that was left.

    On a busy machine the other one may be too old for a while, too. Then the
    primary answers.
    """
    beginning = len(book.reads)

    def nodes():
        return [found.node for found in book.reads[beginning:]]
    for _ in range(20):
        read(conductor, book, 2)
    read_until(conductor, book, lambda: other in nodes())
    assert left not in nodes()


def state(conductor, server, database):
    return conductor.replicas()[node_name(server, database)]


def left_and_taken_back(conductor, book, replica, database, begin, end):
    """Between ``begin()`` and ``end()`` the replica stands still; it is left
    for its age, by the others' reads unnoticed, and taken back once.
    """
    before = state(conductor, replica, database)['ejections']
    begin()
    read_until(conductor, book, lambda: state(
        conductor, replica, database)['reason'] == 'lagging')
    reads_elsewhere(conductor, book, *(
        node_name(found, database) for found in database.cluster.replicas))
    end()
    read_until(conductor, book,
               lambda: state(conductor, replica, database)['usable'])
    for _ in range(20):
        read(conductor, book, 2)
    assert state(conductor, replica, database)['ejections'] == before + 1


@on_each_engine
def test_a_stopped_applier_is_left_within_the_bound(
        tmp_path, schema, book, writer):
    replica = schema.cluster.replicas[0]
    with conducted(tmp_path, schema) as conductor:
        left_and_taken_back(conductor, book, replica, schema,
                            replica.stop_applying, replica.start_applying)
    ledger.check(book)


@on_each_engine
def test_a_stream_that_stalls_is_left_though_the_server_sees_no_lag(
        tmp_path, schema, book, writer, stream, engine):
    replica = schema.cluster.replicas[0]
    with conducted(tmp_path, schema) as conductor:
        def end():
            assert stream.held[servers.TO_CLIENT] > 0
            if engine == 'mariadb':
                assert replica.says_of_its_lag() == (0, 'Yes', 'Yes')
            stream.release()
        left_and_taken_back(
            conductor, book, replica, schema,
            functools.partial(stream.hold, servers.TO_CLIENT), end)
    ledger.check(book)


# -- a replica that dies or says nothing

@contextlib.contextmanager
def broken(fault, replica, proxy):
    """The replica answers no more in the body, in one way or another."""
    begin, end = {
        'kill': (replica.kill, replica.start),
        'freeze': (replica.freeze, replica.thaw),
        'black hole': (proxy.blackhole, proxy.release),
    }[fault]
    begin()
    try:
        yield
    finally:
        end()


@on_each_engine
@pytest.mark.parametrize('fault', ['kill', 'freeze', 'black hole'])
def test_a_replica_that_does_not_answer_holds_nobody_beyond_the_deadline(
        tmp_path, schema, book, writer, fault):
    first, second = schema.cluster.replicas
    with servers.Proxy(first.port) as proxy:
        through = schema.replica_urls[0].replace(str(first.port),
                                                 str(proxy.port))
        name = f'127.0.0.1:{proxy.port}/{schema.name}'
        with conducted(tmp_path, schema, urls=[
                schema.url, through, schema.replica_urls[1]]) as conductor:
            read_until(conductor, book, lambda: name in {
                found.node for found in book.reads})
            began = time.monotonic()
            with broken(fault, first, proxy):
                read_until(conductor, book, lambda: not conductor.replicas()
                           [name]['usable'])
                reads_elsewhere(conductor, book, name,
                                node_name(second, schema))
            read_until(conductor, book,
                       lambda: conductor.replicas()[name]['usable'])
            # Each hold time, five good looks, allows one transition.
            held = 5 * conductors.QUICK['replica_probe_interval']
            assert conductor.replicas()[name]['ejections'] <= 1 + (
                time.monotonic() - began) / held
    # A replica that hangs costs replica_timeout, then the next is asked.
    assert max(found.ended - found.began for found in book.reads) < 2 + 1
    ledger.check(book)


# -- several bounds, several conductors

@on_each_engine
def test_at_one_moment_different_bounds_use_different_replicas(
        tmp_path, schema, book, writer):
    old, fresh = schema.cluster.replicas
    with servers.Proxy(fresh.port) as proxy:
        # Who may choose takes the quicker one, which is the old one then.
        proxy.delay = 0.02
        through = schema.replica_urls[1].replace(str(fresh.port),
                                                 str(proxy.port))
        is_old = node_name(old, schema)
        is_fresh = f'127.0.0.1:{proxy.port}/{schema.name}'
        with conducted(tmp_path, schema, urls=[
                schema.url, schema.replica_urls[0], through]) as conductor:
            old.stop_applying()
            read_until(conductor, book, lambda: state(
                conductor, old, schema)['reason'] == 'lagging')
            patient, impatient = [], []

            def read_both():
                patient.append(read(conductor, book, 60).node)
                impatient.append(read(conductor, book, 1).node)
                return len(patient) >= 20 and (
                    is_old in patient and is_fresh in impatient)
            waiting.wait_for(read_both, what=(patient, impatient))
    assert is_old not in impatient
    # On a busy machine the fresh one may be too old for a while, too.
    assert set(patient) <= {is_old, is_fresh}
    ledger.check(book)


@on_each_engine
def test_conductors_whose_beats_are_far_apart_believe_their_own(
        tmp_path, schema, book, writer):
    def heartbeats():
        [[oldest, newest]] = schema.sql(
            'SELECT MIN(heartbeat), MAX(heartbeat) FROM replica_heartbeats')
        return oldest or 0, newest or 0
    quick = {'replica_heartbeat_interval': 0.05}
    with conducted(tmp_path / 'old', schema, **quick) as old:
        waiting.wait_for(lambda: heartbeats()[1] > 60)
        with conducted(tmp_path / 'young', schema, **quick) as young:
            oldest, newest = heartbeats()
            assert newest - oldest > 30
            for replica in schema.cluster.replicas:
                replica.stop_applying()
            # The young one comes to where the old one stood: a number in
            # common would make the replicas look fresh again.
            waiting.wait_for(lambda: heartbeats()[0] > newest + 5, 30)
            for conductor in (old, young):
                read_until(conductor, book, lambda c=conductor: not any(
                    node['usable'] for node in c.replicas().values()))
                assert read(conductor, book, 2).node == 'primary'
    ledger.check(book)


# -- disks and clocks

@pytest.mark.parametrize('engine', ['postgresql'])
def test_a_replica_whose_disk_is_full_is_left(
        tmp_path, schema, book, writer):
    full, other = schema.cluster.replicas
    with conducted(tmp_path, schema) as conductor:
        full.fill_disk()
        read_until(conductor, book, lambda: not state(
            conductor, full, schema)['usable'])
        reads_elsewhere(conductor, book, node_name(full, schema),
                        node_name(other, schema))
        # A standby that cannot write what it receives gives up.
        assert full.process.wait(60) != 0
    ledger.check(book)


@pytest.fixture
def clock(server_folder, schema):
    """That of the primary, as long as the test lasts."""
    found = servers.Clock(server_folder / f'clock-{schema.name}')
    primary = schema.cluster.primary
    primary.stop()
    primary.environment = found.for_servers
    try:
        primary.start()
        yield found
    finally:
        primary.stop()
        primary.environment = {}
        primary.start()


NOW = {'mariadb': 'SELECT UNIX_TIMESTAMP(SYSDATE())',
       'postgresql': 'SELECT extract(epoch FROM clock_timestamp())'}


@on_each_engine
def test_wall_clocks_that_jump_have_no_effect(
        tmp_path, schema, book, clock, writer, engine):
    def ahead():
        [[now]] = schema.sql(NOW[engine])
        return round((float(now) - time.time()) / 3600)
    # All bounds are less than a jump, and more than a busy machine's lag.
    with conducted(tmp_path, schema, max_replica_lag=600,
                   environment=clock.for_python) as conductor:
        before = conductor.replicas()
        for hours in (1, -1, 0):
            clock.jump(3600 * hours)
            assert ahead() == hours
            for _ in range(100):
                assert read(conductor, book, 600).node != 'primary'
        after = conductor.replicas()
        assert [node['ejections'] for node in after.values()] == [
            node['ejections'] for node in before.values()]
        # The conductor's own clock was another, too: its log says so.
        clock.jump(3600)
        schema.cluster.replicas[0].kill()
        read_until(conductor, book, lambda: not state(
            conductor, schema.cluster.replicas[0], schema)['usable'])
        [line] = waiting.wait_for(lambda: [
            line for line in conductor.program.output().splitlines()
            if 'is not used' in line])
        said = time.mktime(time.strptime(line[:19], '%Y-%m-%d %H:%M:%S'))
        assert said - time.time() > 1800, line
    ledger.check(book)


# -- read your writes

def count_up(conductor, ctxt):
    """Read the counter from the primary and save it one higher."""
    found = conductor.call(ctxt, 'Instance', 'get_by_uuid', UUID)
    found.vcpus += 1
    conductor.api.object_action(ctxt, found, 'save', (), {})


@on_each_engine
def test_a_request_reads_what_it_wrote_through_any_conductor(
        tmp_path, schema, book):
    over = threading.Event()
    fault = threading.Thread(target=lag_at_random, args=(
        schema.cluster.replicas[0], over, random.Random(1)))
    with conducted(tmp_path / 'a', schema, max_replica_lag=60) as one, \
            conducted(tmp_path / 'b', schema, max_replica_lag=60) as other:
        schema.cluster.replicas[1].stop_applying()
        fault.start()
        for number in range(1, 101):
            ctxt = context.new()
            with book.writing(number, session=number):
                count_up(one, ctxt)
            own = ctxt.tolerating_lag(True)
            book.reading(lambda c=own: (other.call(
                c, 'Instance', 'get_by_uuid', UUID).vcpus, {}),
                session=number)
            read(other, book, 60)
            book.reading(lambda c=(one, other)[number % 2]: (c.call(
                context.new(), 'Instance', 'get_by_uuid', UUID).vcpus, {}),
                session='strict')
        over.set()
        fault.join()
    assert ledger.own_writes_unseen(book.writes, book.reads) == []
    assert ledger.gone_back(found for found in book.reads
                            if found.session == 'strict') == []
    # Another request might see older data, and did.
    assert any(ledger.staleness(book.writes, found) > 0
               for found in book.reads if found.session == '')
    [[final]] = schema.sql('SELECT vcpus FROM instances')
    assert ledger.lost(book.writes, final) == 0
    assert ledger.from_nowhere(book.writes, final) == 0
