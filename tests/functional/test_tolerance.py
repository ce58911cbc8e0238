"""What keeps a request's tolerance and what drops it, all parts real.

Older and newer peers, threads, copies, objects that are read again. Less
strict than asked is never right.
"""

import copy
from concurrent import futures

import pytest
from oslo_context import context as oslo_context

from computed import context
from computed import exception
from computed.objects import host as host_obj
from computed.objects import instance as instance_obj
from tests.functional import test_read_over_rpc as over_rpc
from tests.support import fixtures
from tests.support import waiting


def tolerant(**kwargs):
    return context.RequestContext(lag_tolerant=True, **kwargs)


@pytest.fixture
def wire(fresh, monkeypatch):
    """Makes contexts travel as a peer of another release sends them."""
    serializer = fresh.conductor._client.serializer

    def send(change):
        def serialize(ctxt):
            return change(ctxt.to_dict())
        monkeypatch.setattr(serializer, 'serialize_context', serialize)
    return send


def without(*names):
    return lambda values: {name: value for name, value in values.items()
                           if name not in names}


# -- peers of other releases

OURS = ('lag_tolerant', 'max_staleness', 'availability', 'after', 'resync',
        'tokens')


@pytest.mark.parametrize('change, node', [
    (without(), 'replica'),
    # It knows nothing of tolerance.
    (without(*OURS), 'primary'),
    (without('lag_tolerant'), 'primary'),
    # It knows tolerance and nothing that came later.
    (without(*OURS[1:]), 'replica'),
    # Its tokens are of before incarnations: nothing can be shown to have
    # been reached.
    (lambda values: {**values, 'tokens': {
        'x': {'revisions': {'h1': 1}}}}, 'primary'),
    # Its tokens are of before cells.
    (lambda values: {**values, 'tokens': {
        'cell': 'x', 'incarnation': 'y', 'revisions': {'h1': 1}}},
     'primary'),
    (lambda values: {**values, 'max_staleness': {'seconds': 3}}, 'primary'),
    (lambda values: {**values, 'shine': {'bright': 1}}, 'replica'),
], ids=['ours', 'nothing', 'no tolerance', 'tolerance only', 'old tokens',
        'tokens of one database', 'another bound', 'unknown key'])
def test_a_context_of_another_release_is_never_laxer(wire, change, node):
    wire(change)
    assert over_rpc.answered(tolerant()) == node
    assert over_rpc.answered(context.new()) == 'primary'
    assert over_rpc.answered(tolerant(), use_slave=False) == 'primary'


def test_a_wish_for_exactness_that_is_lost_is_strict(wire):
    wire(without('after'))
    assert over_rpc.answered(tolerant(), after='host') == 'primary'


def test_a_reply_of_an_older_conductor_is_enough(fresh, pair, monkeypatch):
    client = fresh.conductor._client
    call = client.call
    monkeypatch.setattr(client, 'call', lambda *args, **kwargs: without(
        'origin', 'tokens')(call(*args, **kwargs)))
    ctxt = context.new()
    found = over_rpc.read(ctxt, use_slave=True)[0]
    assert found.origin is None
    assert not ctxt.tokens
    # What it reads strictly is saved, with the usual guard.
    found = over_rpc.read(ctxt)[0]
    assert found.origin is None
    pair.sql(pair.primary, 'UPDATE instances SET revision = 8')
    found.name = 'x'
    with pytest.raises(exception.InstanceChanged):
        found.save()


def test_what_a_node_too_old_does_not_know_is_not_certain(fresh, pair):
    pair.sql(pair.replica, 'DELETE FROM hosts')
    pair.stop_replication()
    read = {'availability': True, 'max_staleness': 0.2}

    def missing(ctxt):
        try:
            host_obj.Host.get_by_name(ctxt, fixtures.HOST)
        except exception.HostNotFound as error:
            assert error.kwargs == {'host': fixtures.HOST}
        return ctxt.reads.oldest

    # Not before the budget of the primary is spent.
    with futures.ThreadPoolExecutor(16) as threads:
        origin = waiting.wait_for(lambda: next(filter(None, threads.map(
            missing, [tolerant(**read) for _ in range(100)])), None), 30)
    assert (origin.role, origin.reason) == ('replica', context.AVAILABILITY)
    assert origin.age > 0.2


# -- in one process

HOPS = {
    'a copy': copy.copy,
    'a deep copy': copy.deepcopy,
    'the wire': lambda ctxt: context.RequestContext.from_dict(
        ctxt.to_dict()),
    'the wire, twice': lambda ctxt: context.RequestContext.from_dict(
        context.RequestContext.from_dict(ctxt.to_dict()).to_dict()),
}


@pytest.mark.parametrize('hop', HOPS.values(), ids=HOPS)
def test_a_hop_keeps_the_tolerance_and_the_refusal_to_write(fresh, hop):
    ctxt = hop(tolerant())
    assert over_rpc.answered(ctxt) == 'replica'
    found = over_rpc.read(ctxt, use_slave=False)[0]
    found.name = 'x'
    with pytest.raises(exception.ReadOnlyScope):
        found.save()
    assert over_rpc.answered(hop(context.new())) == 'primary'


def test_a_thread_that_is_given_the_context_is_as_tolerant(fresh):
    def work(ctxt):
        found = over_rpc.read(ctxt, use_slave=False)[0]
        found.name = 'x'
        with pytest.raises(exception.ReadOnlyScope):
            found.save()
        return over_rpc.answered(ctxt)
    with futures.ThreadPoolExecutor(4) as threads:
        assert set(threads.map(work, [tolerant() for _ in range(8)])) == {
            'replica'}
        strict = threads.map(over_rpc.answered,
                             [context.new() for _ in range(8)])
        assert set(strict) == {'primary'}


def test_a_spawned_thread_and_a_spawned_task_inherit_nothing(fresh):
    """Their thread may have worked for somebody tolerant before."""
    ctxt = tolerant()
    ctxt.update_store()
    with futures.ThreadPoolExecutor(1) as threads:
        assert threads.submit(oslo_context.get_current).result() is None
        threads.submit(ctxt.update_store).result()
        assert threads.submit(
            lambda: over_rpc.answered(context.new())).result() == 'primary'
    assert over_rpc.answered(context.new()) == 'primary'


def test_what_is_read_again_is_as_strict_as_its_caller(fresh, pair):
    """The tolerance of a call ends with it; that of a context does not, but
    what was read strictly stays so.
    """
    for ctxt, use_slave, role in ((context.new(), True, 'primary'),
                                  (tolerant(), None, 'replica'),
                                  (tolerant(), False, 'primary')):
        found = instance_obj.Instance.get_by_uuid(
            ctxt, fixtures.UUID, use_slave=use_slave)
        found.refresh()
        assert found.origin.role == role
        [member] = over_rpc.read(ctxt, use_slave=use_slave)
        member.refresh()
        assert member.origin.role == role


def test_calls_side_by_side_in_one_context_do_not_mix(fresh):
    ctxt = context.new()
    with futures.ThreadPoolExecutor(8) as threads:
        asked = [True, False, None] * 20
        answers = threads.map(
            lambda use_slave: over_rpc.answered(ctxt, use_slave=use_slave),
            asked)
        assert list(answers) == ['replica', 'primary', 'primary'] * 20
