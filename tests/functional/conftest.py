"""A conductor as a real process, over two databases that differ.

What asks it something runs over each transport.
"""

import functools

import pytest

from computed import context
from computed import exception
from computed.virt import memory
from tests.support import fixtures
from tests.support import waiting

# The one calls nobody; the hosts of the other are programs of their own.
ON_UNIX_ONLY = ('test_status', 'test_crashes')


def pytest_generate_tests(metafunc):
    if ('shared' in metafunc.fixturenames and
            not metafunc.module.__name__.endswith(ON_UNIX_ONLY)):
        metafunc.parametrize('shared', ['unix', 'rabbit'], indirect=True,
                             scope='session')


def start_conductor(pair, listening=None, **options):
    """A computed-conductor on ``pair``, quick to notice what happens.

    :param listening: whether it takes calls; None: has it a socket
    """
    arguments = fixtures.write_config(pair.folder / 'computed.conf', {
        'connection': pair.url(pair.primary),
        'replica_connections': pair.url(pair.replica),
        'replica_heartbeat_interval': 0.1, 'replica_probe_interval': 0.1,
        'replica_good_samples': 1, 'replica_ramp': 0,
        'max_replica_lag': 2}, **options)
    program = fixtures.Program('computed-conductor', pair.folder, *arguments)
    waiting.wait_for(
        listening or (lambda: list(pair.folder.glob('rpc/*conductor*'))),
        20, 'the conductor taking calls')
    return program


@pytest.fixture(scope='session')
def shared(tmp_path_factory, request):
    """One pair of databases with a conductor, for all tests."""
    found = fixtures.SqlitePair(tmp_path_factory.mktemp('shared'))
    found.options = {}
    listening = None
    if getattr(request, 'param', 'unix') == 'rabbit':
        rabbitmq = request.getfixturevalue('rabbitmq')
        found.options = {'transport_url': rabbitmq.url()}
        listening = functools.partial(rabbitmq.consumers, 'conductor')
    program = start_conductor(found, listening, **found.options)
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
    with fixtures.HostSide(pair.folder, tmp_path, **pair.options) as side:
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


class Lossy:
    """A conductor whose replies get lost, after or before it worked.

    :ivar late: the requests it has not carried out
    """

    def __init__(self, inner, lost, before=False):
        self.inner = inner
        self.lost = lost
        self.before = before
        self.late = []

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def object_class_action_versions(self, *args):
        if self.lost and self.before:
            self.lost -= 1
            self.late.append(args)
            raise exception.OutcomeUnknown(method='x', timeout=1)
        answer = self.inner.object_class_action_versions(*args)
        if self.lost:
            self.lost -= 1
            raise exception.OutcomeUnknown(method='x', timeout=1)
        return answer

    def wake(self):
        """Carry them out now, long after they were given up."""
        for request in self.late:
            self.inner.object_class_action_versions(*request)


@pytest.fixture
def lossy(host_side, monkeypatch):
    def replace(lost, before=False):
        found = Lossy(host_side.conductor, lost, before)
        monkeypatch.setattr('computed.objects.base.ComputedObject.'
                            'indirection_api', found)
        return found
    return replace


@pytest.fixture
def virt(host_side):
    return memory.MemoryDriver(host_side.conf)


@pytest.fixture
def manager(host_side, virt):
    """Of a host whose one instance has its guest."""
    found = host_side.manager(virt)
    virt.add_foreign(fixtures.UUID, found.claims.owner)
    return found
