"""The clock of the cell, on servers that lock rows."""

import contextlib
import subprocess
import sys

import psutil
import pytest
from oslo_config import cfg

from computed import chance
from computed import conf as computed_conf
from computed import context
from computed import exception
from computed.db.cell import cell_clock
from computed.db.cell import host
from computed.db.cell import instance
from computed.db.cell import succession
from computed.db.cell.claims import claim
from computed.db.cell.database import cell
from computed.db.routing import router as router_module
from tests.support import fixtures
from tests.support import schemas
from tests.support import waiting

LIFE = succession.Life(fixtures.UUID, fixtures.BOOT, fixtures.BOOT)


@cell.liveness
def while_it_is_open(ctxt, name, call):
    """Report for a host, and call ``call`` before the commit."""
    assert host.report(ctxt, name, LIFE.service_id, LIFE.boot_id, '{}')
    return call()


def configure(url):
    conf = cfg.ConfigOpts()
    computed_conf.register_opts(conf)
    conf([], default_config_files=[])
    cell.configure(router_module.Router(conf.database, url), lambda: 1000)


def added_a_second():
    seen = cell_clock.advance(context.new(), None, False).reading
    return cell_clock.advance(context.new(), seen, False).added


@pytest.mark.parametrize('engine', ['mariadb', 'postgresql'])
def test_a_heartbeat_that_hangs_stops_neither_the_clock_nor_other_heartbeats(
        database):
    """Its conductor may be paused in the middle of it."""
    schemas.fill(database.url)
    configure(database.url)
    for name in ('h1', 'h2'):
        host.register(context.new(), name, LIFE, '0')

    def others():
        return added_a_second() and host.report(
            context.new(), 'h2', LIFE.service_id, LIFE.boot_id, '{}')
    assert while_it_is_open(context.new(), 'h1', others)


@cell.write
def while_it_is_granted(ctxt, remembered, call):
    """Grant a claim to a host, and call ``call`` before the commit."""
    assert claim.grant(
        ctxt, chance.uuid(), f'{LIFE.service_id}:{LIFE.boot_id}', 'test', [{
            'kind': 'instance', 'key': fixtures.UUID, 'host': fixtures.HOST,
            'expected': {}, 'values': {}, 'remembered': remembered}])
    return call()


@pytest.mark.parametrize('engine', ['mariadb', 'postgresql'])
def test_nor_does_a_claim_that_hangs_stop_the_clock(database):
    """It is judged by the clock, if its host remembers the instance."""
    schemas.fill(database.url)
    configure(database.url)
    host.register(context.new(), fixtures.HOST, LIFE, '0')
    instance.create(context.new(), fixtures.INSTANCE)
    assert added_a_second()
    assert while_it_is_granted(context.new(), {
        'claim_id': fixtures.BOOT, 'revision': 0, 'vm_state': None,
        'incarnation': cell.router.observe_incarnation(), 'seconds': 1,
    }, added_a_second)


PAUSED = """
import os, signal, sys
from sqlalchemy import event
from computed import context
from computed.db.cell import cell_clock
from computed.db.cell.database import cell
from tests.integration import test_cell_clock as test

test.configure(sys.argv[1])
seen = cell_clock.advance(context.new(), None, False).reading
event.listen(
    cell.router.primary.heartbeats.facade.writer.get_engine(), 'commit',
    lambda connection: os.kill(os.getpid(), signal.SIGSTOP))
cell_clock.advance(context.new(), seen, False)
"""


@contextlib.contextmanager
def paused(url):
    """A process that has added a second, and was paused before its commit."""
    process = subprocess.Popen([sys.executable, '-c', PAUSED, url])
    try:
        waiting.wait_for(
            lambda: psutil.Process(process.pid).status() ==
            psutil.STATUS_STOPPED, 60, 'the process is paused')
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize('engine', ['mariadb', 'postgresql'])
def test_a_conductor_that_is_paused_in_a_turn_does_not_stop_the_clock(
        database):
    schemas.fill(database.url)
    configure(database.url)

    def runs():
        with contextlib.suppress(exception.PrimaryUnavailable):
            return added_a_second()
    assert runs()
    with paused(database.url):
        waiting.wait_for(runs, 20, 'the clock')
