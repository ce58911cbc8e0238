"""Every remotable call, made once, in this order, on a database of its own.

A new remotable method gets its line here.
"""

from oslo_versionedobjects import base as ovo

from computed import context
from computed import objects
from computed.objects import bandwidth as bandwidth_obj
from computed.objects import base
from computed.objects import console_token as token_obj
from computed.objects import event as event_obj
from computed.objects import freeze as freeze_obj
from computed.objects import grant as grant_obj
from computed.objects import held as held_obj
from computed.objects import host as host_obj
from computed.objects import instance as instance_obj
from computed.objects import resources as resources_obj
from computed.objects import usage_audit as audit_obj
from computed.objects import volume as volume_obj
from computed.objects import volume_usage as volume_usage_obj
from tests.support import fixtures

DATABASE = '00000000-0000-4000-8000-00000000000d'
LIFE = '00000000-0000-4000-8000-00000000000e'
SERVICE = '00000000-0000-4000-8000-00000000000e'
GUEST = '00000000-0000-4000-8000-000000000010'
OTHER = '00000000-0000-4000-8000-00000000000f'
# The ids of claims.
ONE, TWO, THREE, FOUR, FIVE = (
    f'00000000-0000-4000-8000-00000000010{number}' for number in range(5))
SILENT = 'h2'
FIGURES = {'hypervisor_type': 'process', 'hypervisor_version': '1',
           'vcpus': 2, 'memory_mb': 4096, 'disk_gb': 10}
RUN = f'{SERVICE}:{OTHER}'
USAGE = {'uuid': OTHER, 'mac_address': '02:00:00:00:00:01',
         'start_period': 1767225600, 'bw_in': 10, 'bw_out': 20,
         'last_ctr_in': 10, 'last_ctr_out': 20, 'last_epoch': 'e',
         'last_refreshed': 1767225600000000}
BLOCKS = {
    'volume_id': OTHER, 'instance_uuid': fixtures.UUID,
    **{f'{prefix}{name}': 5 for prefix in ('', 'last_')
       for name in ('rd_req', 'rd_bytes', 'wr_req', 'wr_bytes')},
    'last_epoch': 'e', 'last_refreshed': 1767225600000000,
    'base_refreshed': 0}


def make(conductor):
    """Make every call, and hand in an object that is to be translated.

    :param conductor: a :class:`computed.conductor.client.ConductorAPI`
    """
    ctxt = context.new()
    host = fixtures.HOST
    service, node = host_obj.Service, host_obj.ComputeNode
    service.register(ctxt, host, SERVICE, OTHER, fixtures.BOOT, '0.1.0',
                     '1:2', 3.5)
    service.report(
        ctxt, host, SERVICE, OTHER, '{"tasks": 1}', {LIFE: 5})
    service.get_by_host(ctxt, host, use_slave=False)
    node.record(ctxt, host, FIGURES)
    node.get_by_host(ctxt, host)
    host_obj.ComputeNodeList.get_all(ctxt, limit=1)
    resources_obj.ResourceUsage.get_by_host(ctxt, host, SERVICE)
    node.delete_former(ctxt, host, host, SERVICE)
    freeze = freeze_obj.Freeze
    freeze.impose(ctxt, host, 'a look at the disks', 'root@here', OTHER)
    host_obj.Host.get_by_name(ctxt, host)
    freeze.get_by_host(ctxt, host)
    freeze.lift(ctxt, host, OTHER)
    host_obj.HostList.get_all(ctxt, limit=1)
    found = instance_obj.Instance(ctxt, **{
        **fixtures.INSTANCE, 'uuid': OTHER, 'name': 'new'})
    found.create()
    found.name = 'renamed'
    found.save()
    one = instance_obj.Instance.get_by_uuid(ctxt, fixtures.UUID)
    _volumes(ctxt, host)
    _claim(ctxt, host)
    many = instance_obj.InstanceList
    many.get_by_host(ctxt, host)
    many.get_part_by_host(ctxt, host)
    page = many.get_all(ctxt, limit=1, vm_state='active')
    many.get_all(ctxt, marker=page.next_marker)
    many.get_by_name(ctxt, 'web', use_slave=True)
    many.record_power_states(ctxt, host, [
        {'uuid': OTHER, 'vm_state': 'active', 'old': 1, 'new': 4}], RUN)
    usage = bandwidth_obj.BandwidthUsageList
    usage.record(ctxt, [USAGE])
    usage.get_by_uuids(ctxt, [OTHER], [USAGE['start_period']])
    usage.get_by_uuid(ctxt, OTHER, 1)
    audit_obj.UsageAudit.begin(ctxt, host, 1767225600, 1767229200).report()
    audits = audit_obj.UsageAuditList
    audits.get_recent(ctxt, host)
    audits.get_retired(ctxt, 1767225600, 1767229200)
    token = token_obj.ConsoleToken
    token.create(ctxt, fixtures.UUID, 64 * 'a', 600)
    token.get_by_hash(ctxt, 64 * 'a')
    token.get_expired(ctxt, host)
    token.delete_expired(ctxt, host)
    events = event_obj.EventList
    events.note_brake(ctxt, host, '_sync_power_states', '30 repairs')
    page = events.get_by_instance(ctxt, fixtures.UUID, limit=1)
    events.get_by_host(ctxt, host, 0, None, page.next_marker)
    _release(ctxt, host)
    _retire()
    conductor.list_replicas(ctxt)
    conductor.object_backport_versions(
        ctxt, one.obj_to_primitive(), ovo.obj_tree_get_versions('Instance'))


def _claim(ctxt, host):
    cls = grant_obj.Grant
    row = {'kind': 'instance', 'key': fixtures.UUID, 'host': host}
    cls.grant_claim(ctxt, DATABASE, ONE, RUN, 'stop', [
        {**row, 'expected': {'vm_state': 'active'},
         'values': {'task_state': 'powering-off'}}])
    cls.adopt_claim(ctxt, fixtures.UUID, ONE, SERVICE, TWO, RUN)
    cls.amend_claim(ctxt, TWO, RUN, 'interrupt', {
        **row, 'expected': {'vm_state': 'active'},
        'values': {'task_state': 'powering-off'}, 'reason': 'too long'})
    settled = cls.settle_claim(ctxt, TWO, [{**row, 'values': {
        'vm_state': 'stopped', 'power_state': 4, 'task_state': None}}], RUN)
    cls.grant_guest_claim(
        ctxt, DATABASE, THREE, RUN, 'remove', GUEST, host,
        settled.instances[0].revision)
    cls.get_guest_claims(ctxt, SERVICE)
    cls.get_former_guest_claims(ctxt, host, SERVICE)
    cls.settle_guest_claim(ctxt, THREE, GUEST, RUN)


def _release(ctxt, host):
    """Release the claim of a run that another one has replaced."""
    found = instance_obj.InstanceList.get_by_host(ctxt, host)
    grant_obj.Grant.grant_guest_claim(
        ctxt, DATABASE, FOUR, RUN, 'remove', GUEST, host,
        found.origin.revision)
    held_obj.HeldClaimList.get_all(ctxt, 10)
    host_obj.Service.register(ctxt, host, OTHER, OTHER, fixtures.BOOT,
                              '0.1.0', '1:2', 4.5)
    held_obj.HeldClaimList.release(ctxt, FOUR, 'root@here')


def _volumes(ctxt, host):
    """Make a volume, attach it under a claim, detach and delete it."""
    volume, uuid = volume_obj.Volume, fixtures.UUID
    volume.create(ctxt, OTHER, 'data', host, '/srv/data')
    volume.get_by_uuid(ctxt, OTHER, use_slave=False)
    volume_obj.VolumeList.get_all(ctxt, host=host, limit=1)
    grant_obj.Grant.grant_claim(
        ctxt, DATABASE, FIVE, RUN, 'attach-volume', [
            {'kind': 'instance', 'key': uuid, 'host': host,
             'expected': {'vm_state': 'active'},
             'values': {'task_state': 'attaching'}, 'reason': 'data'}])
    volume.begin_attachment(ctxt, OTHER, uuid, host, FIVE, FIVE)
    volume_obj.VolumeList.get_by_instance(ctxt, uuid)
    usage = volume_usage_obj.VolumeUsageList
    usage.get_by_host(ctxt, host, use_slave=True)
    usage.record(ctxt, [BLOCKS])
    usage.get_by_instance(ctxt, uuid)
    usage.get_recorded(ctxt, uuid, 1)
    volume.set_status(ctxt, OTHER, uuid, host, FIVE, None)
    grant_obj.Grant.settle_claim(ctxt, FIVE, [
        {'kind': 'instance', 'key': uuid, 'host': host,
         'values': {'task_state': None}}], RUN)
    volume.delete(ctxt, OTHER, host)


def _retire():
    """Delete a host that was never heard, and an instance that it left.

    Each call has a context of its own: none has a token of a host that is not
    there any more.
    """
    instance_obj.Instance(context.new(), **{
        **fixtures.INSTANCE, 'uuid': ONE, 'name': 'left', 'host': SILENT,
    }).create()
    host_obj.Host.delete(context.new(), SILENT, True, 'root@here')
    instance_obj.Instance.delete_on_record(context.new(), ONE, SILENT, False)
    many = instance_obj.InstanceList
    many.get_left(context.new(), SILENT)
    many.get_uncleaned(context.new(), SILENT)
    many.get_by_uuids(context.new(), [ONE])


def ask_host(api):
    """Make every call to a host, each when it is allowed.

    :param api: a ``rpcapi.HostAPI``; the instance waits to be built, and
        its host has the volume ``OTHER``
    """
    ctxt, task = context.new(), '_sync_power_states'
    instance = fixtures.HOST, fixtures.UUID
    for operation in ('build', 'stop', 'start', 'reboot', 'pause', 'unpause'):
        api.operate(ctxt, fixtures.HOST, operation, fixtures.UUID)
    api.operate(ctxt, fixtures.HOST, 'reboot', fixtures.UUID, hard=True)
    for operation in ('attach', 'detach'):
        api.change_volume(ctxt, fixtures.HOST, operation, fixtures.UUID,
                          OTHER)
    api.get_console_log(ctxt, *instance, 100)
    api.get_guest(ctxt, *instance)
    api.run_task(ctxt, fixtures.HOST, task, accept=3)
    api.get_task_history(ctxt, fixtures.HOST, task)
    api.list_tasks(ctxt, fixtures.HOST)
    api.list_regressed(ctxt, fixtures.HOST)
    api.reconcile(ctxt, *instance, keep_guest=True)
    for operation in ('delete', 'restore'):
        api.operate(ctxt, fixtures.HOST, operation, fixtures.UUID)
    api.operate(ctxt, fixtures.HOST, 'delete', fixtures.UUID, hard=True)


def contexts():
    """``{meaning: context}``"""
    tolerant = context.RequestContext(
        user_id='u', project_id='p', is_admin=True, lag_tolerant=True,
        max_staleness=2.5)
    tolerant.tokens.advance(DATABASE, LIFE, 'h1', 7)
    return {'strict': context.new(), 'tolerant': tolerant}


def remotable():
    """The name of each remotable method of an object."""
    objects.register_all()
    return {f'{name}.{method}'
            for name, [cls] in base.registry.obj_classes().items()
            for method in dir(cls)
            if getattr(getattr(cls, method), 'remotable', False)}
