"""Volumes: made known, attached and detached, by commands and by calls."""

import dataclasses
import json

import pytest

from computed import chance
from computed import context
from computed import exception
from computed import states
from computed.objects import event as event_obj
from computed.objects import instance as instance_obj
from computed.objects import volume as volume_obj
from computed.operations import operation
from computed.operations import recover
from computed.operations import volumes
from tests.functional import test_freeze
from tests.support import fixtures
from tests.support import waiting

UUID, HOST = fixtures.UUID, fixtures.HOST
OTHER = '00000000-0000-4000-8000-0000000000aa'
manage = test_freeze.manage


def made(name='data', path='/srv/data', host=HOST):
    return volume_obj.Volume.create(
        context.new(), chance.uuid(), name, host, path)


def read(volume):
    return volume_obj.Volume.get_by_uuid(
        context.new(), volume.uuid, use_slave=False)


def row_of(uuid=UUID):
    return instance_obj.Instance.get_by_uuid(
        context.new(), uuid, use_slave=False)


def done(manager, name, volume, uuid=UUID):
    """Attach or detach, and wait for its end; return the instance."""
    getattr(volumes, name)(manager, context.new(), uuid, volume.uuid)
    waiting.wait_for(lambda: row_of(uuid).claim_id is None)
    return row_of(uuid)


def of_guest(virt, uuid=UUID):
    return [key[1] for key in virt._guests.volumes if key[0] == uuid]


@pytest.mark.parametrize('vm_state, power_state', [
    ('active', states.RUNNING), ('paused', states.POWER_PAUSED),
    ('stopped', states.SHUTDOWN)])
def test_a_volume_is_attached_and_detached(
        manager, virt, pair, vm_state, power_state):
    pair.sql(pair.primary, 'UPDATE instances SET vm_state = ?', vm_state)
    virt.set_power_state(UUID, power_state)
    volume = made()
    for _ in range(2):      # a repeat does no harm
        row = done(manager, 'attach', volume)
        assert (row.vm_state, row.task_state, row.claim_id, row.fault) == (
            vm_state, None, None, None)
        found = read(volume)
        assert (found.instance_uuid, found.status) == (UUID, 'attached')
        assert of_guest(virt) == [volume.uuid]
    done(manager, 'detach', volume)
    assert read(volume).instance_uuid is None
    assert of_guest(virt) == []
    with pytest.raises(exception.VolumeNotAttached, match='data'):
        done(manager, 'detach', volume)
    assert [(event.operation, event.result, event.reason) for event
            in event_obj.EventList.get_by_instance(context.new(), UUID)] == [
        (name, 'done', f'volume data ({volume.uuid})')
        for name in ('detach-volume', 'attach-volume')]


def test_a_volume_of_another_instance_or_host_is_refused(manager, pair):
    volume = made()
    instance_obj.Instance(context.new(), **{
        **fixtures.INSTANCE, 'uuid': OTHER, 'name': 'other'}).create()
    done(manager, 'attach', volume)
    with pytest.raises(exception.VolumeInUse, match=UUID):
        done(manager, 'attach', volume, OTHER)
    with pytest.raises(exception.VolumeInUse):
        volume_obj.Volume.delete(context.new(), volume.uuid, HOST)
    pair.sql(pair.primary, "INSERT INTO hosts VALUES ('h2', 1, "
             "'2026-01-01 00:00:00.000000')")
    with pytest.raises(exception.VolumeElsewhere, match='h2'):
        done(manager, 'attach', made('far', host='h2'))


def test_two_instances_that_ask_at_once_do_not_both_get_it(manager):
    """The primary decides, whatever both hosts have read before."""
    volume = made()
    for uuid in (UUID, OTHER):
        if uuid == OTHER:
            instance_obj.Instance(context.new(), **{
                **fixtures.INSTANCE, 'uuid': OTHER, 'name': 'o'}).create()
        claim = manager.claims.claim(
            context.new(), uuid, 'attach-volume', {'vm_state': 'active'})

        def begin(claim=claim, uuid=uuid):
            return volume_obj.Volume.begin_attachment(
                context.new(), volume.uuid, uuid, HOST, claim.claim_id,
                chance.uuid())
        if uuid == UUID:
            first = begin()
            assert begin().attachment_id == first.attachment_id
        else:
            with pytest.raises(exception.VolumeInUse):
                begin()
        manager.claims.release(context.new(), claim)
    with pytest.raises(exception.ClaimNotLive):
        begin()


def test_a_driver_that_cannot_says_so_before_anything_is_done(
        manager, virt, pair):
    virt.capabilities = frozenset()
    volume = made()
    with pytest.raises(exception.NotSupported, match='attach volumes'):
        done(manager, 'attach', volume)
    assert read(volume).status is None


def test_what_the_driver_refuses_is_free_again(manager, virt):
    volume = made()
    virt.fail_next('attach_volume', exception.VolumeUnusable(
        path='/srv/data', problem='it is a folder'))
    row = done(manager, 'attach', volume)
    assert row.fault == ('attach-volume: /srv/data cannot be a volume: it is '
                         'a folder.')
    assert (row.vm_state, row.task_state) == ('active', None)
    assert read(volume).status is None
    assert 'detach_volume' in virt.calls


def test_a_volume_that_cannot_be_detached_stays(manager, virt):
    volume = made()
    done(manager, 'attach', volume)
    virt.fail_next('detach_volume', exception.DriverError(reason='busy'))
    assert 'busy' in done(manager, 'detach', volume).fault
    assert read(volume).status == 'attached'
    assert done(manager, 'detach', volume).fault is None
    assert read(volume).status is None


def test_the_end_of_an_instance_frees_its_volumes(manager, virt, pair):
    volume = made()
    done(manager, 'attach', volume)
    manager.delete_instance(context.new(), UUID)
    manager.workers.shutdown(wait=True)
    assert read(volume).status is None
    assert of_guest(virt) == []
    volume_obj.Volume.delete(context.new(), volume.uuid, HOST)
    with pytest.raises(exception.VolumeNotFound):
        read(volume)


def test_but_not_before_its_guest_is_gone(manager, virt, pair):
    """Its host is silent: the guest may still use them."""
    volume = made()
    done(manager, 'attach', volume)
    pair.sql(pair.primary, 'UPDATE instances SET deleted = 1, guest_left = 1,'
             " vm_state = 'deleted'")
    claim = manager.claims.claim(
        context.new(), UUID, 'look', {'deleted': True})
    manager.claims.settle(context.new(), claim, fault=None)
    assert read(volume).status == 'attached'
    manager.update_available_resource(context.new())
    manager.workers.shutdown(wait=True)
    assert read(volume).status is None


@pytest.mark.parametrize('operation_, status, has, then', [
    ('ATTACH', 'attaching', False, 'attached'),
    ('ATTACH', 'attaching', True, 'attached'),
    ('ATTACH', None, False, 'attached'),
    ('DETACH', 'detaching', True, None),
    ('DETACH', 'detaching', False, None),
    ('DETACH', 'attached', True, None)])
def test_a_successor_finishes_what_was_begun(
        manager, virt, pair, operation_, status, has, then):
    volume = made()
    if status or has:
        done(manager, 'attach', volume)
        pair.sql(pair.primary, 'UPDATE block_device_mapping SET status = ?',
                 status)
    if not has:
        virt._guests.volumes.clear()
    operation.claimed(manager, context.new(), dataclasses.replace(
        getattr(volumes, operation_), about=volume.uuid), UUID)
    fixtures.successor(manager)
    rows = instance_obj.InstanceList.get_by_host(context.new(), HOST)
    assert rows[0].task_state == getattr(volumes, operation_).task_state
    recover.recover(manager, context.new(), list(rows), lambda: None)
    row = instance_obj.Instance.get_by_uuid(context.new(), UUID)
    assert (row.task_state, row.claim_id, row.vm_state, row.fault) == (
        None, None, 'active', None)
    assert read(volume).status == then
    assert of_guest(virt) == ([volume.uuid] if then else [])


def test_the_same_volume_is_made_once(pair, host_side):
    volume = made()
    again = volume_obj.Volume.create(
        context.new(), volume.uuid, 'data', HOST, '/srv/data')
    assert again.uuid == volume.uuid
    with pytest.raises(exception.VolumeExists, match=volume.uuid):
        made('other')
    with pytest.raises(exception.HostNotFound):
        made('data', '/srv/x', 'nowhere')


@pytest.mark.parametrize('path', [
    'srv/data', '/srv//data', '/srv/../etc/shadow', '/srv/./data', '/',
    '/srv/da\nta', '/srv/data/'])
def test_a_path_must_be_absolute_and_plain(pair, host_side, path):
    with pytest.raises(exception.VolumeUnusable) as refused:
        made(path=path)
    assert len(str(refused.value).splitlines()) <= 2


# -- commands

def shown(pair, *arguments):
    status, said = manage(pair, *arguments, '-f', 'json')
    assert status == 0, said
    return json.loads(said)


def test_volumes_are_made_listed_and_forgotten(pair, host_side):
    status, said = manage(pair, 'volume', 'create', 'data', '--path',
                          '/srv/data', '--host', HOST)
    assert status == 0, said
    [row] = shown(pair, 'volume', 'list', '--host', HOST, '--strict')
    assert (row['name'], row['path'], row['status'], row['instance']) == (
        'data', '/srv/data', 'available', None)
    one = shown(pair, 'volume', 'show', 'data', '--strict')
    assert one['uuid'] == row['uuid']
    status, said = manage(pair, 'volume', 'show', 'dat')
    assert status == 1 and 'Do you mean data?' in said
    status, said = manage(pair, 'volume', 'delete', 'data')
    assert status == 0 and '/srv/data is as it was' in said
    assert shown(pair, 'volume', 'list', '--strict') == []


def test_an_instance_shows_its_volumes(manager, pair):
    volume = made()
    done(manager, 'attach', volume)
    found = shown(pair, 'instance', 'show', UUID, '--strict')
    assert found['volumes'] == [
        {'name': 'data', 'uuid': volume.uuid, 'status': 'attached'}]


def test_reads_of_volumes_may_ask_a_replica(manager, fresh, pair):
    made()
    for read_, arguments in (
            (volume_obj.VolumeList.get_all, ()),
            (volume_obj.VolumeList.get_by_instance, (UUID,))):
        found = read_(context.new(), *arguments, use_slave=True)
        assert found.origin.role == 'replica' and list(found) == []
