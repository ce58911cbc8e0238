"""A conductor as a real process, over two databases that differ."""

import pytest

from computed import context
from tests import fixtures
from tests import waiting


def start_conductor(pair):
    """A computed-conductor on ``pair``, quick to notice what happens."""
    arguments = fixtures.write_config(pair.folder / 'computed.conf', {
        'connection': pair.url(pair.primary),
        'replica_connections': pair.url(pair.replica),
        'replica_beat_interval': 0.1, 'replica_probe_interval': 0.1,
        'replica_good_samples': 1, 'replica_ramp': 0,
        'max_replica_lag': 2})
    program = fixtures.Program('computed-conductor', pair.folder, *arguments)
    waiting.wait_for(lambda: list(pair.folder.glob('rpc/*conductor*')),
                     20, 'the socket of the conductor')
    return program


@pytest.fixture(scope='session')
def shared(tmp_path_factory):
    """One pair of databases with a conductor, for all tests."""
    found = fixtures.SqlitePair(tmp_path_factory.mktemp('shared'))
    program = start_conductor(found)
    yield found
    program.end()
    found.stop_replication()


@pytest.fixture
def pair(shared):
    """The databases, as they were in the beginning."""
    shared.reset()
    return shared


@pytest.fixture
def host_side(pair, tmp_path):
    """This process as a host that talks to the conductor."""
    with fixtures.HostSide(pair.folder, tmp_path) as side:
        yield side


@pytest.fixture
def fresh(pair, host_side):
    """The replica shows heartbeats and is in use."""
    pair.replicate_beats()
    def in_use():
        state = host_side.conductor.list_replicas(context.new())[1]
        return state['usable'] and state['age'] < 1
    waiting.wait_for(in_use, 10, 'the replica in use')
    yield host_side
    pair.stop_replication()
