"""The database of another cell comes in the place of our own.

It has the same names of hosts and instances, so only its uuid tells.
"""

import contextlib
import sqlite3

import pytest

from computed import context
from computed import exception
from computed.db.cell import cell_clock
from computed.db.cell.database import cell
from computed.service import clock_keeper
from tests.functional import test_damaged_database as damaged
from tests.support import fixtures
from tests.support import routed

pair = routed.pair
clock = routed.clock
settings = routed.settings
router = routed.router
our_cell = damaged.cell


def dump(path):
    """Everything that is in a database."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def make_foreign(path):
    fixtures.make_sqlite(path)
    fixtures.SqlitePair.sql(
        path, 'INSERT INTO hosts VALUES (?, 7, ?)', fixtures.HOST,
        '2026-01-01 00:00:00.000000')
    fixtures.add_service(path, fixtures.HOST)
    return dump(path)


def move(path, to):
    """Move a database with its log."""
    for suffix in ('', '-wal', '-shm'):
        if (part := path.with_name(path.name + suffix)).exists():
            part.rename(to.with_name(to.name + suffix))


def refused():
    """Read, write, count and send a heartbeat; return each refusal."""
    calls = [
        lambda: routed.answered(context.new()),
        lambda: cell_clock.advance(context.new(), None, True),
        lambda: cell.router.observe_incarnation(),
        lambda: cell.router.send_heartbeat('c1', 1)]
    for call in calls:
        with pytest.raises(exception.PrimaryUnavailable) as error:
            call()
        yield error.value


def test_a_file_of_another_cell_is_neither_read_nor_written(
        router, pair, caplog):
    ours, kept = pair.primary, pair.folder / 'kept.sqlite'
    assert routed.answered(context.new()) == 'primary'
    move(ours, kept)
    before = make_foreign(ours)
    for error in refused():
        assert isinstance(error, exception.AnotherDatabase)
        assert str(ours) in str(error)
        assert router.incarnation.database_id in str(error)
    assert dump(ours) == before
    [said] = fixtures.complaints(caplog)
    assert 'now, and not' in said.getMessage()
    assert said.exc_info is None
    assert 'now, and not' in router.status()[0]['problem']

    move(ours, pair.folder / 'foreign.sqlite')
    move(kept, ours)
    assert routed.answered(context.new()) == 'primary'
    cell_clock.advance(context.new(), None, True)
    assert 'answers again' in fixtures.complaints(caplog)[-1].getMessage()


def test_a_database_restored_into_its_place_is_noticed_by_the_clock(
        router, pair, caplog):
    """No connection breaks then."""
    keeper = clock_keeper.Keeper()
    for _ in range(3):
        keeper.turn()
    identity = pair.sql(pair.primary, 'SELECT uuid, incarnation FROM '
                        'database_identity')[0]
    before = router.incarnation.number
    pair.sql(pair.primary, 'UPDATE database_identity SET uuid = ?, '
             'incarnation = ?', fixtures.SERVICE, fixtures.BOOT)
    foreign = dump(pair.primary)
    keeper.turn()
    for error in refused():
        assert isinstance(error, exception.PrimaryUnavailable)
    keeper.turn()
    assert dump(pair.primary) == foreign
    assert router.incarnation.number == before
    assert [line.getMessage().count(fixtures.SERVICE)
            for line in fixtures.complaints(caplog)] == [1]

    pair.sql(pair.primary, 'UPDATE database_identity SET uuid = ?, '
             'incarnation = ?', *identity)
    keeper.turn()
    assert routed.answered(context.new()) == 'primary'


def test_the_programs_leave_a_foreign_database_alone(our_cell, tmp_path):
    conductor = our_cell.start('computed-conductor')
    our_cell.wait_until_serving()
    host = our_cell.start('computed')
    host.wait_for_output('is managed')
    kept = tmp_path / 'kept.sqlite'
    move(our_cell.database, kept)
    before = make_foreign(our_cell.database)
    conductor.wait_for_output('now, and not')
    host.wait_for_output('cannot be reported as alive')
    assert dump(our_cell.database) == before
    move(our_cell.database, tmp_path / 'foreign.sqlite')
    move(kept, our_cell.database)
    conductor.wait_for_output('answers again after')
    host.wait_for_output('is reported as alive again')
    assert dump(tmp_path / 'foreign.sqlite') == before
    assert conductor.output().count('\n') == 2
    assert 'Traceback' not in conductor.output() + host.output()
