import dataclasses

import pytest

from computed.cmd import status
from computed.db.engine import inspect
from computed.rpc import rabbit

PRIMARY = inspect.Server(
    'db1/computed', schema='a2', database_id='d', identity='one',
    replicating=False, may_write=True, skew=0.1)
REPLICA = inspect.Server(
    'db2/computed', schema='a2', database_id='d', identity='two',
    replicating=True, may_write=False, skew=-0.1)
DOWN = inspect.Server('db3/computed', error='refused')


def replica(**changes):
    return dataclasses.replace(REPLICA, **changes)


def service(version, host='h1'):
    return inspect.Service(host, version, 3.0)


@pytest.mark.parametrize('found, code, said', [
    ('a3', status.SUCCESS, 'a3 is the newest'),
    ('a2', status.WARNING, 'db sync'),
    ('a1', status.FAILURE, 'a2 is needed'),
    (None, status.FAILURE, 'has no schema'),
    ('z9', status.SUCCESS, 'newer than this code')])
def test_the_schema(found, code, said):
    result = status.schema(dataclasses.replace(PRIMARY, schema=found), 'a2',
                           ['a1', 'a2', 'a3'])
    assert result.code == code
    assert said in result.details


def test_without_the_primary_nothing_that_needs_it_is_said_to_be_well():
    assert status.schema(DOWN, 'a1', ['a1']).code == status.FAILURE
    assert status.fit(DOWN, [REPLICA]).code == status.WARNING
    assert status.oldest_service(DOWN, '0.1.0').code == status.WARNING


def test_a_replica_that_is_down_is_a_warning_for_reads_go_elsewhere():
    assert status.reachable([]).code == status.SUCCESS
    assert status.reachable([REPLICA]).code == status.SUCCESS
    result = status.reachable([REPLICA, DOWN])
    assert result.code == status.WARNING
    assert 'db3/computed does not answer: refused' in result.details
    assert status.fit(PRIMARY, [REPLICA, DOWN]).code == status.SUCCESS


@pytest.mark.parametrize('changes, code, said', [
    ({'identity': 'one'}, status.FAILURE, 'is the primary itself'),
    ({'schema': None}, status.FAILURE, 'has no tables of computed'),
    ({'database_id': 'e'}, status.FAILURE, 'another database'),
    ({'schema': 'a1'}, status.WARNING, 'check that replication runs'),
    ({'replicating': False}, status.FAILURE, 'accepts writes'),
    ({'may_write': True}, status.WARNING, 'account that may write'),
    # an engine that knows neither
    ({'replicating': None, 'may_write': None}, status.SUCCESS, 'Each')])
def test_a_replica_that_is_none(changes, code, said):
    result = status.fit(PRIMARY, [REPLICA, replica(**changes)])
    assert result.code == code
    assert said in result.details


def test_the_worst_of_several_findings_counts_and_all_are_told():
    result = status.fit(PRIMARY, [
        replica(replicating=False), replica(may_write=True)])
    assert result.code == status.FAILURE
    assert 'accepts writes' in result.details
    assert 'may write' in result.details


@pytest.mark.parametrize('primary, other, said', [
    (0.0, 0.0, None), (1.0, -0.9, None),
    (0.0, 3.0, 'db2/computed is 3.0 s ahead of this machine.'),
    (-3.0, -3.0, 'db1/computed is 3.0 s behind this machine.'),
    (1.5, -1.5, 'db2/computed and the primary are 3.0 s apart.')])
def test_clocks(primary, other, said):
    result = status.clocks(dataclasses.replace(PRIMARY, skew=primary),
                           [replica(skew=other), DOWN])
    assert result.code == (status.WARNING if said else status.SUCCESS)
    assert said is None or said in result.details
    assert (said is None) == ('Synchronize' not in result.details)


def test_servers_without_a_clock_of_their_own_cannot_differ():
    assert status.clocks(dataclasses.replace(PRIMARY, skew=None),
                         []).code == status.SUCCESS


@pytest.mark.parametrize('versions, code, said', [
    ([], status.SUCCESS, 'No host'),
    (['1.4.0', '1.3.9'], status.SUCCESS, '1.3.9, on host h1'),
    (['1.10.0'], status.SUCCESS, '1.10.0'),
    (['1.4.0', '1.2.9'], status.FAILURE, 'h1 runs 1.2.9'),
    (['0.9.0'], status.FAILURE, 'upgrade it first'),
    (['1.4.0', 'mine'], status.WARNING, "'mine'")])
def test_the_oldest_service(versions, code, said):
    primary = dataclasses.replace(
        PRIMARY, services=tuple(map(service, versions)))
    result = status.oldest_service(primary, '1.4.2')
    assert result.code == code
    assert said in result.details


QUORUM = {'x-queue-type': 'quorum', 'x-delivery-limit': 3}


@pytest.mark.parametrize('arguments, differences, code, said', [
    (QUORUM, {}, status.SUCCESS, 'No queue exists yet'),
    (QUORUM, {'conductor': None, 'compute': None}, status.SUCCESS,
     '2 queues with x-delivery-limit=3, x-queue-type=quorum.'),
    (QUORUM, {'conductor': None, 'compute': 'the type'}, status.FAILURE,
     '`rabbitmqctl delete_queue -p v compute`'),
    ({}, {}, status.WARNING, 'rabbit_quorum_queue is off'),
    ({}, {'compute': 'the type'}, status.FAILURE, 'would declare: the type')])
def test_the_queues(arguments, differences, code, said):
    result = status.queues(
        rabbit.Queues('v', arguments, differences), 'rabbit://h/')
    assert result.code == code
    assert said in result.details


def test_without_a_broker_there_are_no_queues():
    result = status.queues(None, 'unix:///somewhere')
    assert result.code == status.SUCCESS
    assert result.details == (
        'Not applicable, because calls travel over unix:///somewhere.')


def test_the_queues_of_every_host_are_looked_at():
    assert status.queue_names({'h2', 'h1'}) == [
        'conductor', 'conductor.h1', 'conductor.h2', 'compute', 'compute.h1',
        'compute.h2']
