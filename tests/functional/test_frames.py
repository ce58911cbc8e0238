"""How many own functions a read passes from a task to the SQL, really."""

import contextlib
import pathlib
import sys

import oslo_messaging as messaging
import pytest
import sqlalchemy as sa
from sqlalchemy import event

import computed
from computed import context
from computed import objects
from computed.conductor import manager
from computed.objects import host as host_obj
from computed.objects import instance as instance_obj
from computed.rpc import serializer
from tests.support import fixtures
from tests.support import routed
from tests.wire import loopback

pair = routed.pair
clock = routed.clock
settings = routed.settings
router = routed.router
fresh = routed.fresh

MOST = 12
OWN = pathlib.Path(computed.__file__).parent
QUERIES = str(OWN / 'db' / 'cell')


class Conductor(loopback.Conductor):
    """A conductor of this process, on a router of the test."""

    def __init__(self, router):
        objects.register_all()
        self._dispatcher = messaging.RPCDispatcher(
            [manager.ConductorManager(router.status)],
            serializer.Serializer(), messaging.ExplicitRPCAccessPolicy)


def own_frames():
    """The functions below ``computed/`` from the task to the query function.

    The first is called by the task; the query function is the last. None: no
    query function is running.
    """
    found, frame = [], sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(str(OWN)):
            found.append((path, frame.f_code.co_qualname))
        frame = frame.f_back
    found.reverse()
    for number, (path, _) in enumerate(found, 1):
        if path.startswith(QUERIES):
            return [name for _, name in found[:number]]
    return None


@contextlib.contextmanager
def stacks():
    """A list of :func:`own_frames` at each statement of a query function."""
    seen = []

    def note(*statement):
        if (frames := own_frames()) is not None:
            seen.append(frames)
    event.listen(sa.Engine, 'before_cursor_execute', note)
    try:
        yield seen
    finally:
        event.remove(sa.Engine, 'before_cursor_execute', note)


@pytest.fixture
def host_side(fresh, tmp_path):
    (tmp_path / 'host').mkdir()
    with loopback.host_side(Conductor(fresh), tmp_path / 'host'):
        yield fresh


def refuse(pair):
    """Make the replica refuse, so that the primary answers in its place."""
    pair.replica.rename(pair.folder / 'gone')


def nothing(pair):
    """Leave both databases as they are."""


@pytest.mark.parametrize('ctxt, use, prepare, reason', [
    (context.new(), {}, nothing, 'strict'),
    (context.new(), {'use_slave': True}, nothing, 'lag_tolerant'),
    (context.new(), {'after': 'host'}, nothing, 'after_host'),
    (context.new(), {'after': 'host'}, refuse, 'replica_failed'),
    (context.new(), {'use_slave': True}, refuse, 'replica_failed'),
    (context.new(resync=True), {'use_slave': True}, nothing, 'lag_tolerant'),
], ids=['strict', 'tolerant', 'exact', 'exact on the primary',
        'tolerant on the primary', 'resync'])
def test_a_read_passes_few_own_functions(
        host_side, pair, ctxt, use, prepare, reason):
    prepare(pair)
    with stacks() as seen:
        instance_obj.InstanceList.get_by_host(ctxt, fixtures.HOST, **use)
    assert ctxt.reads.last.reason == reason
    assert seen
    for frames in seen:
        assert frames[-1] == 'get_all_by_host'
        assert len(frames) <= MOST, frames


def test_a_read_that_prefers_an_old_answer_passes_few(host_side, clock):
    clock.now += 60
    host_side.primary.silent = True
    ctxt = context.RequestContext(availability=True, lag_tolerant=True)
    with stacks() as seen:
        host_obj.Host.get_by_name(ctxt, fixtures.HOST)
    assert ctxt.reads.last.reason == context.AVAILABILITY
    assert seen
    for frames in seen:
        assert len(frames) <= MOST, frames
