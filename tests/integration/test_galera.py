"""The guarantees on Galera, where every node takes writes."""

import contextlib
import functools
import threading
import time
import uuid

import pymysql
import pytest

from computed import context
from computed import exception
from computed.db.cell import instance as instance_db
from computed.db.cell import migration
from computed.db.cell.database import cell
from computed.db.engine import exclusive
from computed.db.engine import inspect
from computed.db.engine import turns
from computed.db.routing import router as router_module
from tests.support import conductors
from tests.support import fixtures
from tests.support import routed
from tests.support import schemas
from tests.support import waiting

HOST, ME = fixtures.HOST, fixtures.SILENT
FACTS = {'vm_state': 'active', 'task_state': None}
ROUNDS = 40


@pytest.fixture
def engine():
    return 'galera'


@pytest.fixture
def schema(database):
    schemas.fill(database.url)
    database.sql(
        f"INSERT INTO hosts VALUES ('{HOST}', 1, UTC_TIMESTAMP())",
        f"INSERT INTO services VALUES ('{HOST}', '{ME}', '{ME}', '{ME}', '', "
        "0, '0.1.0', UTC_TIMESTAMP(), 1, 0, 0, '{}')")
    database.caught_up()
    return database


def urls(database, first=0):
    """The URLs of a conductor whose own node is number ``first``."""
    nodes = database.cluster.servers
    return [nodes[first].url(database=database.name),
            *(node.url('computed_ro', database.name)
              for node in nodes[:first] + nodes[first + 1:])]


@pytest.fixture
def pair(schema, tmp_path):
    """Two conductors, each on a node of its own, without replicas."""
    with conductors.several(*(
            conductors.Conductor(tmp_path / f'c{number}',
                                 urls(schema, number)[:1])
            for number in (0, 1))) as found:
        yield found


@pytest.fixture
def database_id(schema):
    [[found]] = schema.sql('SELECT uuid FROM database_identity')
    return found


def add_instance(database, number=0, **columns):
    values = {**fixtures.INSTANCE, 'deleted': 0, 'revision': 1,
              'created_at': '2026-01-01', 'updated_at': '2026-01-01',
              **columns, 'uuid': str(uuid.UUID(int=number))}
    database.sql(f"INSERT INTO instances ({', '.join(values)}) VALUES (" +
                 ', '.join(repr(value) for value in values.values()) + ')')
    return values['uuid']


def in_parallel(*functions):
    """Call them side by side; what each returned, or our error it raised.
    """
    results = [None] * len(functions)
    meet = threading.Barrier(len(functions))

    def run(number, function):
        meet.wait(60)
        try:
            results[number] = function()
        except (exception.ComputedError, AssertionError) as error:
            results[number] = error
    threads = [threading.Thread(target=run, args=pair)
               for pair in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return results


def claim(conductor, database_id, instance, claim_id, expected=None):
    granted = conductor.call(
        context.new(), 'Grant', 'grant_claim', database_id, claim_id,
        fixtures.OWNER, 'test', [{
            'kind': 'instance', 'key': instance, 'host': HOST,
            'expected': expected or FACTS,
            'values': {'task_state': 'powering-off'}}])
    return granted.instances[0]


def release(conductor, instance, claim_id):
    settled = conductor.call(
        context.new(), 'Grant', 'settle_claim', claim_id, [{
            'kind': 'instance', 'key': instance, 'host': HOST,
            'values': {'task_state': None}}], fixtures.OWNER)
    return settled.instances[0]


def test_of_two_claims_on_two_nodes_exactly_one_is_granted(
        pair, schema, database_id):
    instance = add_instance(schema)
    before = conflicts(schema)
    for _ in range(ROUNDS):
        names = [str(uuid.uuid4()) for _ in pair]
        results = in_parallel(*(
            lambda c=conductor, n=name: claim(c, database_id, instance, n)
            for conductor, name in zip(pair, names, strict=True)))
        won = [name for name, result in zip(names, results, strict=True)
               if not isinstance(result, Exception)]
        lost = [result for result in results if isinstance(result, Exception)]
        assert len(won) == 1, results
        assert [type(error) for error in lost] == [exception.ClaimLost], lost
        assert release(pair[0], instance, won[0]) is not None
    assert conflicts(schema) > before


def test_claims_of_two_instances_of_one_host_come_one_after_the_other(
        pair, schema, database_id):
    instances = [add_instance(schema, number) for number in (0, 1)]
    before = conflicts(schema)
    for _ in range(ROUNDS):
        # No row is claimed by both: only that of their host is certified.
        results = in_parallel(*(
            functools.partial(claim, conductor, database_id, instance,
                              str(uuid.uuid4()))
            for conductor, instance in zip(pair, instances, strict=True)))
        first, second = sorted(row.revision for row in results)
        assert first < second
        for instance, row in zip(instances, results, strict=True):
            release(pair[0], instance, row.claim_id)
    assert conflicts(schema) > before


def conflicts(database):
    """How often the cluster undid what two nodes changed at once."""
    return sum(int(node.status(name)) for node in database.cluster.servers
               for name in ('local_cert_failures', 'local_bf_aborts'))


def vcpus(database, instance):
    [[found]] = database.sql('SET wsrep_sync_wait=7', 'SELECT vcpus FROM '
                             f"instances WHERE uuid = '{instance}'")
    return found


def increment(conductor, instance):
    """Count one up in a row, the way every object is written."""
    ctxt = context.new()
    found = conductor.call(ctxt, 'Instance', 'get_by_uuid', instance)
    found.vcpus += 1
    conductor.api.object_action(ctxt, found, 'save', (), {})


def test_a_row_read_changed_and_saved_on_two_nodes_loses_no_update(
        pair, schema):
    instance = add_instance(schema, vcpus=0)
    changed = []

    def work(conductor):
        done = 0
        while done < ROUNDS:
            try:
                increment(conductor, instance)
                done += 1
            except exception.InstanceChanged as error:
                changed.append(error)
        return done
    assert in_parallel(*(lambda c=conductor: work(c)
                         for conductor in pair)) == [ROUNDS, ROUNDS]
    assert vcpus(schema, instance) == 2 * ROUNDS
    assert changed


def session(node, database, **options):
    return contextlib.closing(pymysql.connect(
        host='127.0.0.1', port=node.port, user='computed',
        password='computed', database=database.name, **options))


def test_a_plain_read_and_write_does_lose_updates_there(schema):
    instance = add_instance(schema, vcpus=0)
    where = f"WHERE uuid = '{instance}'"
    enough = threading.Event()
    committed = []

    def work(node):
        with session(node, schema) as connection:
            cursor = connection.cursor()
            # The default of MariaDB 11, ON, refuses such an update (1020).
            cursor.execute('SET innodb_snapshot_isolation = OFF')
            while not enough.is_set():
                try:
                    cursor.execute(f'SELECT vcpus FROM instances {where}')
                    [[found]] = cursor.fetchall()
                    cursor.execute(f'UPDATE instances SET vcpus = {found + 1}'
                                   f' {where}')
                    connection.commit()
                    committed.append(node)
                except pymysql.err.OperationalError as error:
                    assert error.args[0] == 1213, error
                    connection.rollback()

    def lost():
        # What was committed before we look is in what we see.
        known = len(committed)
        return known - vcpus(schema, instance) > 0

    def watch():
        try:
            waiting.wait_for(lost, 30, 'a lost update')
        finally:
            enough.set()
    in_parallel(*(lambda n=node: work(n)
                  for node in schema.cluster.servers[:2]), watch)
    assert len(committed) - vcpus(schema, instance) > 0


def test_plain_reads_of_another_node_are_stale_and_strict_ones_never(
        pair, schema):
    instance = add_instance(schema, vcpus=0)
    first, second, _ = schema.cluster.servers
    with session(first, schema, autocommit=True) as writer, \
            session(second, schema, autocommit=True) as reader:
        def write(number):
            writer.cursor().execute(
                f'UPDATE instances SET vcpus = {number} '
                f"WHERE uuid = '{instance}'")

        def plain():
            cursor = reader.cursor()
            cursor.execute('SELECT vcpus FROM instances '
                           f"WHERE uuid = '{instance}'")
            [[found]] = cursor.fetchall()
            return found
        stale = 0
        for number in range(1, 5 * ROUNDS):
            write(number)
            stale += plain() < number
            found = pair[1].call(context.new(), 'Instance', 'get_by_uuid',
                                 instance)
            assert found.vcpus == number
        assert stale > 0


def test_a_strict_read_waits_for_a_node_that_is_behind(pair, schema):
    instance = add_instance(schema, vcpus=0)
    first, second, _ = schema.cluster.servers

    def strict():
        return pair[1].call(context.new(), 'Instance', 'get_by_uuid',
                            instance).vcpus
    assert strict() == 0
    second.stop_applying()
    increment(pair[0], instance)

    def let_go():
        waiting.wait_for(lambda: any(
            'instances' in str(info) for [info] in second.sql(
                'SELECT info FROM information_schema.processlist '
                "WHERE user = 'computed'")), 20, 'the read to wait')
        assert second.sql('SELECT vcpus FROM '
                          f'{schema.name}.instances') == [(0,)]
        second.start_applying()
    assert in_parallel(strict, let_go) == [1, None]


def test_a_node_that_cannot_wait_for_the_others_answers_no_strict_read(
        pair, schema):
    instance = add_instance(schema)
    node = schema.cluster.servers[1]
    node.provide('repl.causal_read_timeout=PT0.5S')
    try:
        node.stop_applying()
        increment(pair[0], instance)
        with pytest.raises(exception.PrimaryUnavailable):
            pair[1].call(context.new(), 'Instance', 'get_by_uuid', instance)
    finally:
        node.provide('repl.causal_read_timeout=PT30S')


def test_a_node_that_allows_dirty_reads_answers_no_strict_read_with_one(
        schema):
    add_instance(schema)
    first, node, _ = schema.cluster.servers
    node.sql('SET GLOBAL wsrep_dirty_reads = ON')
    router = router_module.Router(routed.make_settings(),
                                  node.url(database=schema.name))
    cell.configure(router, lambda: 1000)

    def names():
        return [row.name for row in instance_db.get_all_by_host(
            context.new(), HOST)]
    try:
        assert names() == ['web']
        node.provide('repl.causal_read_timeout=PT0.5S')
        node.stop_applying()
        first.sql("UPDATE instances SET name = 'renamed'",
                  database=schema.name)
        with pytest.raises(exception.PrimaryUnavailable):
            names()
    finally:
        node.start_applying()
        node.provide('repl.causal_read_timeout=PT30S')
        node.sql('SET GLOBAL wsrep_dirty_reads = OFF')
        router.primary.dispose()


def test_a_node_given_as_replica_of_its_own_cluster_is_used(
        schema, tmp_path):
    instance = add_instance(schema)
    with conductors.Conductor(tmp_path, urls(schema)) as conductor:
        conductor.wait_for_replicas(2)
        ctxt = context.RequestContext(lag_tolerant=True)
        conductor.call(ctxt, 'Instance', 'get_by_uuid', instance)
        assert ctxt.reads.last.role == 'replica'


def test_each_node_is_a_server_of_its_own_and_no_replica_that_may_write(
        schema):
    found = [inspect.look(url, 5) for url in urls(schema)]
    assert len({server.identity for server in found}) == 3
    assert {server.replicating for server in found} == {None}


def test_a_tolerant_read_is_no_older_than_its_bound_there_too(
        schema, tmp_path):
    instance = add_instance(schema, vcpus=0)
    with conductors.Conductor(tmp_path, urls(schema)) as conductor:
        conductor.wait_for_replicas(2)
        for node in schema.cluster.replicas:
            node.stop_applying()
        increment(conductor, instance)
        done = time.monotonic()
        ctxt = context.RequestContext(lag_tolerant=True, max_staleness=2)

        def look():
            return conductor.call(ctxt, 'Instance', 'get_by_uuid',
                                  instance).vcpus
        assert look() == 0 or time.monotonic() - done > 1
        waiting.wait_for(look, 4, 'the new state')
        assert ctxt.reads.last.role == 'primary'


@pytest.mark.parametrize('fault', ['kill', 'isolate', 'desync',
                                   'stop_applying'])
def test_a_broken_node_loses_no_write_and_raises_only_what_is_documented(
        schema, tmp_path, fault):
    instance = add_instance(schema, vcpus=0)
    node = schema.cluster.servers[1]
    over = threading.Event()
    with conductors.several(*(conductors.Conductor(
            tmp_path / f'c{number}', urls(schema, number)[:1],
            primary_timeout=2) for number in (0, 1))) as pair:
        callers = [Caller(conductor, instance) for conductor in pair]

        def break_and_mend():
            try:
                more_written(*callers)
                getattr(node, fault)()
                more_written(callers[0])
                if fault != 'desync':
                    waiting.wait_for(lambda: callers[1].failed, 30,
                                     'an error of the broken node')
                schema.cluster.mend()
                more_written(*callers)
            finally:
                over.set()
        assert in_parallel(
            *(functools.partial(caller.work, over) for caller in callers),
            break_and_mend) == [None] * 3
    written = sum(caller.written for caller in callers)
    perhaps = sum(error is exception.CommitUnknown for caller in callers
                  for error in caller.failed)
    assert written <= vcpus(schema, instance) <= written + perhaps


class Caller:
    """Counts up, and counts what came of it.

    :ivar failed: the class of each error that is no answer
    """

    def __init__(self, conductor, instance):
        self.conductor = conductor
        self.instance = instance
        self.written = 0
        self.failed = []

    def work(self, over):
        while not over.is_set():
            try:
                increment(self.conductor, self.instance)
                self.written += 1
            except (exception.InstanceChanged, exception.WriteConflict):
                pass
            except (exception.PrimaryUnavailable,
                    exception.CommitUnknown) as error:
                self.failed.append(type(error))


def more_written(*callers):
    """Wait until each of them has written some more."""
    for caller in callers:
        before = caller.written
        waiting.wait_for(lambda c=caller, n=before: c.written > n + 5, 60,
                         'writes')


def test_one_node_at_a_time_changes_the_schema(database):
    first, second, _ = (node.url(database=database.name)
                        for node in database.cluster.servers)
    with schemas.held(second), pytest.raises(
            exception.SchemaBusy, match=r'session \d+ of computed.* on node '
                                        'node2'):
        migration.sync(first, wait=0)
    assert migration.sync(first, wait=30) == (None, migration.known()[-1])
    database.caught_up()
    assert schemas.shape(first) == schemas.shape(second)


def test_a_node_that_lost_its_turn_changes_nothing(database):
    first, second, _ = (node.url(database=database.name)
                        for node in database.cluster.servers)
    with migration._engine(first) as engine, \
            exclusive.turn(engine, 30) as turn:
        [[holder]] = database.sql(
            'SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED',
            'SELECT holder FROM schema_lock')
        database.sql(f'KILL {holder.split()[1]}')
        with schemas.held(second), pytest.raises(
                turns.Refused, match='lock of this session'):
            schemas.upgrade_in(turn, 'head')
