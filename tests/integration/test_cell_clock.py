"""The clock of the cell, on servers that lock rows."""

import pytest
from oslo_config import cfg

from computed import conf as computed_conf
from computed import context
from computed.db.cell import cell_clock
from computed.db.cell import host
from computed.db.cell import migration
from computed.db.cell import succession
from computed.db.cell.database import cell
from computed.db.routing import router as router_module
from tests.support import fixtures

LIFE = succession.Life(fixtures.UUID, 'boot', 'boot')


@cell.liveness
def while_it_is_open(ctxt, name, call):
    """Report for a host, and call ``call`` before the commit."""
    assert host.report(ctxt, name, LIFE.service_id, LIFE.boot_id, '{}')
    return call()


@pytest.mark.parametrize('engine', ['mariadb', 'postgresql'])
def test_a_heartbeat_that_hangs_stops_neither_the_clock_nor_other_heartbeats(
        database):
    """Its conductor may be paused in the middle of it."""
    migration.sync(database.url)
    conf = cfg.ConfigOpts()
    computed_conf.register_opts(conf)
    conf([], default_config_files=[])
    cell.configure(router_module.Router(conf.database, database.url),
                   lambda: 1000)
    for name in ('h1', 'h2'):
        host.register(context.new(), name, LIFE, '0')

    def others():
        seen = cell_clock.advance(context.new(), None, False).reading
        turn = cell_clock.advance(context.new(), seen, False)
        return turn.added and host.report(
            context.new(), 'h2', LIFE.service_id, LIFE.boot_id, '{}')
    assert while_it_is_open(context.new(), 'h1', others)
