"""A real router, over two databases that differ or over real servers.

Over two databases, the test owns the clock. Over servers, the router measures
them itself.
"""

import contextlib

import pytest
from oslo_config import cfg

from computed import conf as computed_conf
from computed import context
from computed.db.cell import database as cell_database
from computed.db.cell import instance
from computed.db.cell import migration
from computed.db.cell.database import cell
from computed.db.routing import monitor
from computed.db.routing import nodes
from computed.db.routing import router as router_module
from tests.support import fixtures
from tests.support import waiting

NAMES = {fixtures.PRIMARY: 'primary', fixtures.REPLICA: 'replica'}


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pair(tmp_path):
    found = fixtures.SqlitePair(tmp_path)
    fixtures.add_service(found.primary, fixtures.HOST)
    return found


def make_settings(**options):
    """The options of ``[database]``, as they are without a file."""
    conf = cfg.ConfigOpts()
    computed_conf.register_opts(conf)
    conf([], default_config_files=[])
    for name, value in options.items():
        conf.set_override(name, value, 'database')
    return conf.database


@pytest.fixture
def settings():
    return make_settings()


@contextlib.contextmanager
def measuring(url, replica_urls, **options):
    """The router of this process, once it has every replica in use."""
    router = router_module.Router(make_settings(**options), url, replica_urls)
    cell.configure(router, lambda: 1000)
    router.incarnation.database_id = cell_database.get_id(context.new())
    running = monitor.Monitor(router, migration.outdated())
    running.start()
    try:
        waiting.wait_for(lambda: all(
            node['usable'] for node in router.status()), 15, 'every replica')
        yield router
    finally:
        running.stop()
        for node in (router.primary, router.primary.heartbeats,
                     *router.replicas.values()):
            node.dispose()


@contextlib.contextmanager
def unmeasured(url, **options):
    """The router of this process, without replicas."""
    router = router_module.Router(make_settings(**options), url)
    cell.configure(router, lambda: 1000)
    try:
        yield router
    finally:
        for node in (router.primary, router.primary.heartbeats):
            node.dispose()


def make_router(pair, settings, clock, replicas=1):
    router = router_module.Router(
        settings, pair.url(pair.primary),
        [pair.url(pair.replica)][:replicas], clock=clock)
    cell.configure(router, lambda: 1000)
    router.incarnation.database_id = cell_database.get_id(context.new())
    router.incarnation.adopt(cell.router.observe_incarnation())
    return router


@pytest.fixture
def router(pair, settings, clock):
    return make_router(pair, settings, clock)


def show_heartbeat(router, pair):
    """One heartbeat, carried to the replica and seen there by a probe."""
    number = router.next_heartbeat(router.clock())
    cell.router.send_heartbeat('c1', number)
    pair.carry_once()
    probe(router)


def probe(router):
    for replica in router.replicas.values():
        replica.probe('c1', lambda: nodes.Expected(
            router.incarnation.database_id, router.primary.identity, ['a0']),
            router.heartbeats)


@pytest.fixture
def fresh(router, pair):
    show_heartbeat(router, pair)
    return router


def answered(ctxt):
    [row] = instance.get_all_by_host(ctxt, fixtures.HOST)
    return NAMES[row.power_state]


def tolerant(**kwargs):
    return context.RequestContext(lag_tolerant=True, **kwargs)


def reason(ctxt):
    return ctxt.reads.last.reason
