"""Claims on real servers: of many who ask at once, one is granted."""

import functools
import threading
from concurrent import futures

import pytest
from sqlalchemy import event

from computed import context
from computed import exception
from computed import states
from computed.claims import absence
from computed.claims import claims
from computed.claims import journal
from computed.claims import kinds
from computed.db.cell import freeze as freeze_module
from computed.db.cell.claims import claim as claim_module
from computed.db.cell.database import cell
from computed.db.routing import router as router_module
from computed.objects import base
from computed.objects import freeze as freeze_obj
from computed.objects import host as host_obj
from computed.objects import instance as instance_obj
from computed.operations import recover
from computed.virt import memory
from tests.functional import conftest
from tests.integration import test_primary
from tests.integration import test_replication
from tests.support import fixtures
from tests.support import waiting

pytestmark = test_replication.on_each_engine

HERE, THERE, GUEST = (f'00000000-0000-4000-8000-00000000000{n}'
                      for n in range(3))
ACTIVE = {'vm_state': 'active', 'task_state': None}
LATER = 'h2'    # its row is locked after the one of this host
ASKERS = 8

settings = test_primary.settings


@pytest.fixture
def side(tmp_path, database):
    """This process as a host, with an instance here and one elsewhere."""
    program = test_replication.start_conductor(
        tmp_path, database, replicas=False)
    with fixtures.HostSide(tmp_path, tmp_path) as found:
        found.virt = memory.MemoryDriver(found.conf)
        found.made = found.manager(found.virt)
        host_obj.Service.register(context.new(), 'another', THERE, THERE,
                                  fixtures.BOOT, '0')
        for host, name in ((fixtures.HOST, HERE), ('another', THERE)):
            instance_obj.Instance(context.new(), **{
                **fixtures.INSTANCE, 'uuid': name, 'host': host}).create()
        for name in (HERE, GUEST):
            found.virt.add_foreign(name, found.made.claims.owner)
        yield found
    program.end()


@pytest.fixture
def granted(side):
    return side.made.claims


def at_once(ask):
    """``ask(number)`` in many threads; a list of results and errors."""
    ready = threading.Barrier(ASKERS)

    def run(number):
        ready.wait(60)
        try:
            return ask(number)
        except exception.ComputedError as error:
            return error
    with futures.ThreadPoolExecutor(ASKERS) as pool:
        return list(pool.map(run, range(ASKERS)))


def wanted():
    return [kinds.Wanted('instance', HERE, ACTIVE, host=fixtures.HOST),
            kinds.Wanted('instance', THERE, ACTIVE, host='another')]


def rows(database, columns='claim_id'):
    return [row if len(row) > 1 else row[0] for row in database.sql(
        f'SELECT {columns} FROM instances ORDER BY uuid')]


# What is asked for at once: one row, two rows of two hosts, an absence.
ASKED = [
    lambda granted, listing, _: granted.claim(
        context.new(), HERE, 'test', ACTIVE),
    lambda granted, listing, _: granted.claim_all(
        context.new(), 'test', wanted()),
    lambda granted, listing, _: absence.claim(
        granted, context.new(),
        absence.Listing(listing.uuids, listing.revision), GUEST, 'test'),
]


def test_of_many_who_ask_at_once_one_wins(granted):
    for ask in ASKED:
        found = at_once(functools.partial(
            ask, granted, absence.listing(granted, context.new())))
        won = [one for one in found
               if not isinstance(one, exception.ClaimLost)]
        assert len(won) == 1, found
        granted.release(context.new(), won[0])


def test_a_host_is_not_overbooked_by_many_at_once(side, database):
    """It has 8 CPUs, and five are asked for by each of eight."""
    side.made.conf.set_override('cpu_allocation_ratio', 1.0, 'compute')
    side.made.update_available_resource(context.new())

    def ask(number):
        instance_obj.Instance(context.new(), **{
            **fixtures.INSTANCE, 'vcpus': 5,
            'uuid': f'10000000-0000-4000-8000-00000000000{number}'}
            ).create(ensure_room=True)
    found = at_once(ask)
    assert sorted(map(type, found), key=str) == [
        type(None), *[exception.NoRoom] * (ASKERS - 1)], found
    assert database.sql('SELECT count(*) FROM instances WHERE vcpus = 5') == [
        (1,)]


def deadlocks(database):
    """How many the server has seen in this database."""
    if database.url.startswith('postgresql'):
        [[found]] = database.sql('SELECT deadlocks FROM pg_stat_database '
                                 'WHERE datname = current_database()')
    else:
        [[_, found]] = database.sql("SHOW GLOBAL STATUS LIKE "
                                    "'Innodb_deadlocks'")
    return int(found)


def test_opposite_claims_do_not_wait_for_one_another(
        granted, database, tmp_path):
    other = claims.Claims(
        granted.owner.database_id, 'another', THERE, THERE,
        journal.Journal(tmp_path / 'other'))
    before = deadlocks(database)
    won = []

    def ask(number):
        asker, order = (granted, 1) if number % 2 else (other, -1)
        for _ in range(10):
            try:
                got = asker.claim_all(
                    context.new(), 'test', wanted()[::order])
            except exception.ClaimLost:
                continue
            won.append(asker)
            asker.release(context.new(), got)
    assert at_once(ask) == [None] * ASKERS
    assert won
    assert deadlocks(database) == before
    assert rows(database) == [None, None]


def test_after_a_freeze_no_claim_is_granted(granted, database):
    """Eight threads claim as fast as they can while it comes."""
    frozen, granted_after, won = threading.Event(), [], []

    def ask(number):
        if number == 0:
            waiting.wait_for(lambda: len(won) >= 5, 20, 'five claims')
            freeze_obj.Freeze.impose(
                context.new(), None, 'disks', 'me', fixtures.UUID)
            frozen.set()
            return None
        while True:
            was_frozen = frozen.is_set()
            try:
                got = granted.claim(context.new(), HERE, 'test', ACTIVE)
            except exception.ClaimLost:
                continue
            except exception.Frozen as error:
                return error
            (granted_after if was_frozen else won).append(got.claim_id)
            granted.release(context.new(), got)
    found = at_once(ask)
    assert found[0] is None
    assert {type(one) for one in found[1:]} == {exception.Frozen}, found
    assert granted_after == []
    assert rows(database) == [None, None]
    freeze_obj.Freeze.lift(context.new(), None, fixtures.UUID)
    granted.release(context.new(), granted.claim(
        context.new(), HERE, 'test', ACTIVE))


def test_a_reply_lost_after_the_commit_is_the_same_grant(
        side, granted, database):
    lossy = conftest.Lossy(side.conductor, 1)
    base.use_conductor(lossy)
    got = granted.claim_all(context.new(), 'test', wanted())
    assert rows(database) == [got.claim_id] * 2
    assert lossy.lost == 0
    listing = absence.listing(granted, context.new())
    lossy.lost = 1
    guest = absence.claim(granted, context.new(), listing, GUEST, 'test')
    assert database.sql('SELECT claim_id FROM guest_claims') == [
        (guest.claim_id,)]
    assert lossy.lost == 0


def test_a_request_that_comes_once_more_after_the_end_is_not_granted(
        side, granted, database):
    lossy = conftest.Lossy(side.conductor, 1, before=True)
    base.use_conductor(lossy)
    got = granted.claim_all(context.new(), 'test', wanted())
    granted.release(context.new(), got)
    with pytest.raises(exception.ClaimLost):
        lossy.wake()
    assert rows(database) == [None] * 2


def test_why_nothing_was_done_follows_why_it_was_asked_for(
        side, granted, database):
    for reason in (None, 'it looked wrong'):
        got = granted.claim_all(context.new(), 'test', [
            kinds.Wanted('instance', HERE, ACTIVE, reason=reason)])
        granted.release(context.new(), got, 'it is right')
    assert database.sql("SELECT reason, result FROM events WHERE operation = "
                        "'test' ORDER BY id") == [
        ('it is right', 'released'),
        ('it looked wrong; it is right', 'released')]


def test_the_successor_of_a_host_that_died_finishes_all(
        side, granted, database):
    granted.claim_all(context.new(), 'stop', [
        kinds.Wanted('instance', one.key, ACTIVE,
                      {'task_state': states.POWERING_OFF}, one.host)
        for one in wanted()])
    absence.claim(
        granted, context.new(),
        absence.listing(granted, context.new()), GUEST, 'remove')
    fixtures.successor(side.made)
    recover.recover(
        side.made, context.new(), list(
            instance_obj.InstanceList.get_by_host(
                context.new(), fixtures.HOST)), lambda: None)
    assert rows(database, 'vm_state, task_state, claim_id') == [
        ('stopped', None, None), ('active', None, None)]
    assert database.sql('SELECT * FROM guest_claims') == []
    assert side.virt.get_instance(GUEST)
    assert granted.journal.entries() == []


def test_a_freeze_of_the_second_host_is_seen_by_a_claim_under_way(
        database, side, settings):
    """Imposed after the claim has locked its first host."""
    router = router_module.Router(settings, database.url)
    cell.configure(router, lambda: 1000)
    engine = router.primary.facade.writer.get_engine()
    locked = []

    def freeze_the_other(connection, cursor, statement, *_):
        if len(locked) < 2 and statement.startswith('UPDATE hosts'):
            locked.append(statement)
            if len(locked) == 2:
                freeze_module.impose(context.new(), LATER, 'test', 'test',
                                     fixtures.UUID)
    host_obj.Service.register(context.new(), LATER, THERE, THERE,
                              fixtures.BOOT, '0')
    database.sql(f"UPDATE instances SET host = '{LATER}'"
                 f" WHERE uuid = '{THERE}'")
    event.listen(engine, 'before_cursor_execute', freeze_the_other)
    with pytest.raises(exception.Frozen):
        claim_module.grant(context.new(), 'c', f'{THERE}:{THERE}', 'test', [
            {'kind': 'instance', 'key': uuid_, 'host': name, 'values': {},
             'expected': ACTIVE}
            for uuid_, name in ((HERE, fixtures.HOST), (THERE, LATER))])
    assert len(locked) == 2
    assert rows(database) == [None, None]


def test_a_transition_gets_the_time_of_the_server(side, granted, database):
    def since():
        [found] = database.sql(
            'SELECT task_state_since, build_started_at, claimed_at '
            f"FROM instances WHERE uuid = '{HERE}'")
        return found
    got = granted.claim(context.new(), HERE, 'build', ACTIVE,
                        task_state='spawning', build_started_at=states.NOW)
    began, started, claimed_at = since()
    assert began == started == claimed_at is not None
    granted.settle(context.new(), got, task_state=None)
    assert since() == (None, started, None)
