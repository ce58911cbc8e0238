"""What is told of each act, once it is committed."""

import uuid

import pytest
import sqlalchemy as sa

from computed import context
from computed import exception
from computed.claims import claims
from computed.claims import journal
from computed.claims import kinds
from computed.db.cell.database import cell
from computed.db.cell.history import events
from computed.db.cell.storage import tables
from computed.notifications import notification
from computed.objects import grant as grant_obj
from computed.objects import instance as instance_obj
from computed.objects import volume_usage as volume_usage_obj
from computed.rpc import notifier
from tests.support import fixtures
from tests.support import routed

UUID = fixtures.UUID
ACTIVE = {'vm_state': 'active', 'task_state': None}
clock = routed.clock
settings = routed.settings
pair = routed.pair
router = routed.router


@pytest.fixture
def told(router):
    """The notifications, in the form in which they are sent."""
    found = []
    cell.announce = lambda notice: found.append(notification.made(notice))
    yield found
    cell.announce = None


@pytest.fixture
def claimer(router, pair, tmp_path):
    """The claims of a host in this process, which has the database."""
    pair.sql(pair.primary, 'DELETE FROM services')
    boot_id = str(uuid.uuid4())
    return claims.Claims(
        fixtures.register(fixtures.HOST, boot_id), fixtures.HOST,
        fixtures.SERVICE, boot_id, journal.Journal(str(tmp_path / 'claims')))


def user():
    return context.new(asked_by='ann@console')


def types(told):
    return [(one.event_type, one.failed) for one in told]


def data(one):
    assert one.payload['computed_object.name'] == 'InstanceActionPayload'
    assert one.payload['computed_object.version'] == '1.0'
    return one.payload['computed_object.data']


def test_an_act_is_told_when_it_begins_and_when_it_ends(claimer, told):
    ctxt = user()
    got = claimer.claim(ctxt, UUID, 'reboot --hard', ACTIVE)
    claimer.settle(ctxt, got, vm_state='stopped', fault=None)
    begun, ended = told
    assert types(told) == [('instance.reboot_hard.start', False),
                           ('instance.reboot_hard.end', False)]
    assert begun.key == f'{got.claim_id}:{UUID}:start'
    assert ended.key == f'{got.claim_id}:{UUID}:end'
    assert data(ended) == {
        'key': ended.key, 'phase': 'end', 'uuid': UUID, 'name': 'web',
        'host': fixtures.HOST, 'operation': 'reboot --hard',
        'asked_by': 'ann@console', 'request_id': ctxt.request_id,
        'claim_id': got.claim_id, 'state_before': 'active',
        'state_after': 'stopped', 'result': 'done', 'fault': None,
        'reason': None}
    assert data(begun) == {
        **data(ended), 'key': begun.key, 'phase': 'start',
        'state_after': None, 'result': None}


def test_a_failure_has_the_priority_of_an_error(claimer, told):
    got = claimer.claim(user(), UUID, 'stop', ACTIVE)
    claimer.settle(user(), got, fault='stop: no answer')
    assert types(told)[1] == ('instance.stop.error', True)
    assert data(told[1])['fault'] == 'stop: no answer'


def test_nothing_done_is_no_end(claimer, told):
    claimer.release(user(), claimer.claim(user(), UUID, 'stop', ACTIVE))
    assert types(told)[1:] == [('instance.stop.released', False)]


def test_what_is_refused_or_rolled_back_is_not_told(claimer, told, pair):
    with pytest.raises(exception.ClaimLost):
        claimer.claim(user(), UUID, 'stop', {'vm_state': 'paused'})
    [row] = instance_obj.InstanceList.get_by_host(user(), fixtures.HOST)
    row.name = 'other'
    pair.sql(pair.primary, 'UPDATE instances SET revision = 8')
    with pytest.raises(exception.InstanceChanged):
        row.save()

    @cell.write
    def fail(ctxt):
        """Grant a claim, then fail, all in one transaction."""
        claimer.claim(ctxt, UUID, 'stop', ACTIVE)
        raise exception.Frozen(host='h1', reason='x', since='now')
    with pytest.raises(exception.Frozen):
        fail(user())

    @cell.write
    def undo(ctxt):
        events.note(ctxt, 'update', key='key', uuid=UUID)
        cell.undo(ctxt)
    undo(user())
    assert told == []


def test_a_repeat_has_the_key_of_what_it_repeats(claimer, told, pair):
    """After a commit without an answer, the first call has told nothing."""
    ctxt, host = user(), fixtures.HOST
    row = {'kind': kinds.INSTANCE, 'key': UUID, 'host': host}
    for _ in range(2):
        grant_obj.Grant.grant_claim(
            ctxt, claimer.owner.database_id, claimer.service_id,
            claimer.claim_owner, 'stop', [{
                **row, 'expected': ACTIVE, 'values': {}}])
    for _ in range(2):
        grant_obj.Grant.settle_claim(ctxt, claimer.service_id, [{
            **row, 'values': {'vm_state': 'stopped'}, 'acted': True}],
            claimer.claim_owner)
    assert types(told) == 2 * [('instance.stop.start', False)] + (
        2 * [('instance.stop.end', False)])
    assert told[0] == told[1] and told[2] == told[3]


def test_an_instance_is_created_renamed_and_deleted(router, pair, told):
    found = instance_obj.Instance(user(), **{
        **fixtures.INSTANCE, 'uuid': fixtures.SERVICE, 'name': 'new',
        'vm_state': 'building', 'host': None})
    for _ in range(2):
        found.obj_clone().create()
    found = instance_obj.Instance.get_by_uuid(user(), fixtures.SERVICE)
    found.name = 'renamed'
    found.save()
    instance_obj.Instance.delete_on_record(
        user(), fixtures.SERVICE, None, False)
    created, again, renamed, deleted = told
    assert types(told) == 2 * [('instance.create.end', False)] + [
        ('instance.update.end', False), ('instance.delete.end', False)]
    assert created == again
    assert created.key == f'{fixtures.SERVICE}:create'
    assert renamed.key.startswith(f'{fixtures.SERVICE}:update:')
    assert deleted.key == f'{fixtures.SERVICE}:delete'


def test_nobody_who_listens_costs_no_statement(claimer, router):
    """The end of an act is read again only to be told."""
    seen = []
    engine = router.primary.engine
    sa.event.listen(engine, 'before_cursor_execute', lambda *args:
                    seen.append(args[2]))

    def reads():
        got = claimer.claim(user(), UUID, 'stop', ACTIVE)
        seen.clear()
        claimer.release(user(), got)
        return len([text for text in seen if text.startswith('SELECT') and
                    'FROM events' in text])
    assert reads() == 0
    cell.announce = lambda notice: None
    try:
        assert reads() == 1
    finally:
        cell.announce = None


def usage(base, refreshed, count=1):
    return {**dict.fromkeys(tables.VolumeUsage.__table__.columns.keys(),
                            count),
            'volume_id': fixtures.SERVICE, 'instance_uuid': UUID,
            'last_epoch': 'e', 'last_refreshed': refreshed,
            'base_refreshed': base, 'rd_bytes': 7, 'wr_bytes': 9}


def test_what_is_used_of_a_volume_is_told_when_it_is_recorded(router, told):
    record = volume_usage_obj.VolumeUsageList.record
    record(user(), [usage(0, 1_000_000)])
    record(user(), [usage(5, 9_000_000)])       # refused: it rests on another
    for _ in range(2):      # the first answer is lost
        record(user(), [usage(1_000_000, 2_500_000, 3)])
    first, second, again = told
    assert second == again
    assert first.event_type == 'volume.usage' and not first.failed
    assert first.payload['computed_object.name'] == 'VolumeUsagePayload'
    assert second.payload['computed_object.data'] == {
        'key': f'{fixtures.SERVICE}:{UUID}:2500000',
        'volume_id': fixtures.SERVICE, 'instance_uuid': UUID, 'reads': 3,
        'read_bytes': 7, 'writes': 3, 'write_bytes': 9, 'damaged': [],
        'last_refreshed': '1970-01-01T00:00:02Z'}


@pytest.mark.parametrize('options, remedy', [
    ({}, 'Write log or off'),
    ({'oslo_messaging_notifications__transport_url': 'carrier://PASS@h/'},
     'Give a URL such as'),
    ({'oslo_messaging_notifications__transport_url': 'rabbit://u:PASS#1@h/'},
     'Give a URL such as')])
def test_a_transport_without_queues_is_refused_in_one_line(
        tmp_path, options, remedy):
    conf = fixtures.make_conf(tmp_path, notifications__driver='messaging',
                              **options)
    with pytest.raises(exception.ConfigError, match=remedy) as got:
        notifier.make(conf, 'conductor:h1')
    assert '\n' not in str(got.value) and 'PASS' not in str(got.value)


@pytest.mark.parametrize('program', ['computed', 'computed-conductor'])
def test_a_program_that_cannot_notify_does_not_start(tmp_path, program):
    config = tmp_path / 'computed.conf'
    config.write_text('[notifications]\ndriver = messaging\n')
    found = fixtures.Program(program, tmp_path, '--config-file', str(config),
                             '--state-path', str(tmp_path))
    assert found.process.wait(60) == 1
    [line] = [line for line in found.output().splitlines()
              if '[notifications] driver = messaging' in line]
    assert 'is no broker. Write log or off' in line
    assert 'Traceback' not in found.output()


def test_the_log_has_them_with_sockets(tmp_path):
    database = tmp_path / 'primary.sqlite'
    fixtures.make_sqlite(database)
    arguments = fixtures.write_config(tmp_path / 'computed.conf', {
        'connection': f'sqlite:///{database}'})
    with open(arguments[1], 'a') as stream:
        stream.write('[notifications]\ndriver = log\n')
    found = fixtures.Program('computed-conductor', tmp_path, *arguments)
    try:
        found.wait_for(lambda: list(tmp_path.glob('rpc/*conductor*')),
                       'the conductor taking calls')
        with fixtures.HostSide(tmp_path, tmp_path):
            fixtures.register(fixtures.HOST, fixtures.SERVICE)
            instance_obj.Instance(user(), **fixtures.INSTANCE).create()
        found.wait_for_output('"event_type": "instance.create.end"')
        [line] = [line for line in found.output().splitlines()
                  if 'instance.create.end' in line]
        assert f'"publisher_id": "conductor:{fixtures.HOST}"' in line
    finally:
        found.end()
