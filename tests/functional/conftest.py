"""A conductor as a real process, over two databases that differ.

Every test that calls it does so over unix://. Over RabbitMQ run again the
tests that could end differently there: those of the reads over RPC, of
tolerance and of versions, since contexts, tokens and objects travel in other
envelopes; and the tests marked ``both_transports``: claims (granted, lost,
refused, with a reply that is lost, of several rows, with times among the
facts), typed errors, and the largest messages. What the others prove lies
above the transport or below the conductor. This lists them:

    .venv/bin/pytest --collect-only -k rabbit tests/functional
"""

import functools

import pytest

from computed import context
from computed import exception
from computed.objects import base
from computed.virt import memory
from tests import servers
from tests.support import fixtures
from tests.support import waiting

BOTH_TRANSPORTS = ('test_read_over_rpc', 'test_tolerance', 'test_versions')


def pytest_configure(config):
    config.addinivalue_line(
        'markers', 'both_transports: run over unix:// and over RabbitMQ')


def pytest_generate_tests(metafunc):
    if 'shared' not in metafunc.fixturenames:
        return
    both = (metafunc.module.__name__.endswith(BOTH_TRANSPORTS) or
            metafunc.definition.get_closest_marker('both_transports'))
    metafunc.parametrize('shared', ['unix', 'rabbit'][:2 if both else 1],
                         indirect=True, scope='module')


def start_conductor(pair, listening=None, notifications=None, **options):
    """Start a computed-conductor on ``pair`` that notices changes quickly.

    :param notifications: where they go; None: it sends none
    :param listening: whether it takes calls; None: whether its socket exists
    """
    arguments = fixtures.write_config(pair.folder / 'computed.conf', {
        'connection': pair.url(pair.primary),
        'replica_connections': pair.url(pair.replica),
        'replica_heartbeat_interval': 0.2, 'replica_probe_interval': 0.2,
        'replica_good_samples': 1, 'replica_ramp': 0,
        'max_replica_lag': 2}, **options)
    if notifications is not None:
        with open(arguments[1], 'a') as stream:
            stream.write(f'[notifications]\ndriver = {notifications}\n')
    program = fixtures.Program('computed-conductor', pair.folder, *arguments)
    try:
        program.wait_for(
            listening or (lambda: list(pair.folder.glob('rpc/*conductor*'))),
            'the conductor taking calls')
    except AssertionError:
        program.end()
        raise
    return program


class Shared(fixtures.SqlitePair):
    """A pair of databases and the conductor that serves them."""

    def __init__(self, folder, rabbitmq=None, notifications=None):
        super().__init__(folder)
        self._notifications = notifications
        self.options, self._listening, self._program = {}, None, None
        if rabbitmq is not None:
            self.options = {'transport_url': rabbitmq.url()}
            self._listening = functools.partial(
                rabbitmq.consumers, 'conductor')

    def start(self):
        self._program = start_conductor(
            self, self._listening, self._notifications, **self.options)

    @property
    def program(self):
        return self._program

    @property
    def process(self):
        return self._program.process

    def stop(self):
        if self._program is not None:
            self._program.end()
        self.stop_replication()


@pytest.fixture(scope='module')
def shared(tmp_path_factory, request):
    """A pair of databases with a conductor, for all tests of a file.

    It ends with them: idle, it takes a tenth of one core for its heartbeats.
    """
    rabbitmq = (request.getfixturevalue('rabbitmq')
                if request.param == 'rabbit' else None)
    folder = tmp_path_factory.mktemp('shared')
    with servers.started(f'conductor-{request.param}', folder, lambda folder:
                         Shared(folder, rabbitmq, getattr(
                             request.module, 'NOTIFICATIONS', None))
                         ) as found:
        yield found


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
    pair.replicate_heartbeats()
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
def lossy(host_side):
    def replace(lost, before=False):
        found = Lossy(host_side.conductor, lost, before)
        base.use_conductor(found)
        return found
    yield replace
    base.use_conductor(host_side.conductor)


@pytest.fixture
def after_list(monkeypatch):
    """Let ``change()`` happen between the list of a pass and its acts."""
    def arrange(policy, change):
        real = policy.candidates

        def candidates(manager, look):
            found = real(manager, look)
            change()
            return found
        monkeypatch.setattr(policy, 'candidates', candidates)
    return arrange


@pytest.fixture
def calls(host_side, monkeypatch):
    """The names of the methods that were called over RPC."""
    names, client = [], host_side.conductor._client
    real = client.call

    def call(ctxt, method, **kwargs):
        names.append(kwargs.get('objmethod', method))
        return real(ctxt, method, **kwargs)
    monkeypatch.setattr(client, 'call', call)
    return names


@pytest.fixture
def virt(host_side):
    return memory.MemoryDriver(host_side.conf)


@pytest.fixture
def manager(host_side, virt):
    """Of a host whose one instance has its guest."""
    found = host_side.manager(virt)
    virt.add_foreign(fixtures.UUID, found.claims.owner)
    return found
