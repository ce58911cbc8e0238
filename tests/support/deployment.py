"""A deployment of plain values, in place of conductors and hosts."""

from computed import context
from computed import exception
from computed import states
from computed.objects import bandwidth as bandwidth_obj
from computed.objects import host as host_obj
from computed.objects import instance as instance_obj
from computed.objects import volume as volume_obj

UUID = '11111111-2222-4333-8444-55555555555{}'
# A run of a task, as a host tells of it.
RECORD = {
    'task': '_sync', 'request_id': 'req-1', 'started_at': 1000.0,
    'duration': 0.25, 'outcome': 'ok', 'error': None, 'candidates': 3,
    'acted': 1, 'recorded': 0, 'lost_races': 2, 'refused': 0,
    'failed': 0, 'note': None,
    'reads': {'replica': 2, 'primary': 1}, 'triggered': False}


def instance(number=1, name='web', **values):
    values = {'host': 'here', 'vm_state': states.ACTIVE, 'task_state': None,
              'power_state': states.RUNNING, 'command': 'sleep 9',
              'vcpus': 1, 'memory_mb': 0, 'disk_gb': 0, 'network': 'host',
              'exit_code': None, 'fault': None, 'created_at': None,
              'task_state_since': None, 'build_started_at': None,
              'launched_at': None, 'updated_at': None, 'deleted_at': None,
              'terminated_at': None,
              'deleted': False, 'cleaned': False, 'clean_attempts': 0,
              'clean_failed': False, 'revision': 7, 'claim_id': None,
              'claim_owner': None, 'settled_claim_id': None, **values}
    return instance_obj.Instance(
        uuid=UUID.format(number), name=name, **values)


def compute_node(**values):
    """8 CPUs and 1 GiB, each promised twice; no disk; all of it free."""
    return host_obj.ComputeNode(**{
        'host': 'here', 'hypervisor_type': 'memory',
        'hypervisor_version': '1', 'vcpus': 8, 'memory_mb': 1024,
        'disk_gb': 0, 'memory_mb_available': 700, 'disk_gb_free': 0,
        **{f'{name}_{kind}': number
           for name in ('vcpus', 'memory_mb', 'disk_gb')
           for kind, number in (('reserved', 0), ('allocation_ratio', 2.0),
                                ('used', 0), ('claimed', 0))},
        **values})


def host(name='here', silent_for=1.0, instances=0, digest='{}', node=None,
         freeze=None):
    service = None if silent_for is None else host_obj.Service(
        host=name, service_id=UUID.format(1), boot_id=UUID.format(2),
        host_boot_id='x', version='1', last_seen='2026-01-02T03:04:05Z',
        silent_for=silent_for, digest=digest)
    return host_obj.Host(
        name=name, revision=3, created_at='2026-01-02T03:04:05Z',
        instances=instances, service=service, compute_node=node,
        freeze=freeze)


def usage(number=1, **values):
    values = {'mac_address': '02:00', 'start_period': '2026-01-01T00:00:00Z',
              'bw_in': 5 * 1024 ** 2, 'bw_out': 7, 'last_ctr_in': 1,
              'last_ctr_out': 1, 'last_epoch': 'a',
              'last_refreshed': 1_000_500_000, **values}
    return bandwidth_obj.BandwidthUsage(uuid=UUID.format(number), **values)


class Deployment:
    """Stands for conductors and hosts: every call that leaves the program.

    :ivar replica: instances that a replica knows, if not those of the
        primary
    :ivar lost: instances that only their hosts know
    :ivar lost_replies: how many of the next writes are done, but not answered
    """

    def __init__(self):
        self.context = context.new()
        self.hosts = self.conductor = self
        self.all_hosts = [host()]
        self.primary = []
        self.lost = []
        self.replica = None
        self.usage = []
        self.nodes = []
        self.operated = []
        self.lost_replies = 0
        self.refusals = {}
        self.record = RECORD
        self.tasks, self.history = [], []
        self.guest = None

    # a client of conductors

    def object_class_action_versions(self, context, objname, objmethod,
                                     versions, args, kwargs):
        known = self.primary
        if context.availability:
            context.reads.note(self.origin, 0.0)
        if context.lag_tolerant and self.replica is not None:
            known = self.replica
        return getattr(self, f'{objname}_{objmethod}')(
            known, *args, **kwargs)

    def object_action(self, context, objinst, objmethod, args, kwargs):
        if objinst.uuid not in [one.uuid for one in self.primary]:
            self.primary.append(instance(
                9, **{name: getattr(objinst, name) for name in (
                    'name', 'host', 'vm_state', 'power_state', 'command')}))
            self.primary[-1].uuid = objinst.uuid
        if self.lost_replies:
            self.lost_replies -= 1
            raise exception.OutcomeUnknown(method=objmethod, timeout=60)
        [row] = [one for one in self.primary if one.uuid == objinst.uuid]
        return {'vm_state': row.vm_state, 'claim_id': row.claim_id,
                'obj_what_changed': []}, None

    def Instance_get_by_uuid(self, known, uuid):
        for one in known:
            if one.uuid == uuid:
                return one
        raise exception.InstanceNotFound(instance=uuid)

    def InstanceList_get_by_name(self, known, name):
        return self.page(instance_obj.InstanceList, [
            one for one in known if one.name == name and not one.deleted])

    def list_replicas(self, context):
        return self.nodes

    def InstanceList_get_all(self, known, limit=None, marker=None,
                             **filters):
        self.filters = filters
        return self.page(instance_obj.InstanceList, [
            one for one in known if filters.get('host') in (None, one.host)],
            limit, marker)

    def Service_get_by_host(self, known, host):
        return self.Host_get_by_name(known, host).service

    def Host_get_by_name(self, known, name):
        for one in self.all_hosts:
            if one.name == name:
                return one
        raise exception.HostNotFound(host=name)

    def BandwidthUsageList_get_by_uuid(self, known, uuid, limit):
        return bandwidth_obj.BandwidthUsageList(objects=[
            one for one in self.usage if one.uuid == uuid][:limit])

    def VolumeList_get_by_instance(self, known, uuid):
        return volume_obj.VolumeList(objects=[], next_marker=None)

    def HostList_get_all(self, known, limit=None, marker=None):
        return self.page(host_obj.HostList, self.all_hosts, limit, marker)

    @staticmethod
    def page(cls, known, limit=None, marker=None):
        """At most two of the objects; the marker is where it begins."""
        start = int(marker or 0)
        end = start + min(limit or 2, 2)
        return cls(objects=known[start:end],
                   next_marker=str(end) if end < len(known) else None)

    # a HostAPI

    def operate(self, context, host, operation, uuid, hard=False):
        if uuid in self.refusals or host in self.refusals:
            raise self.refusals.get(uuid) or self.refusals[host]
        self.operated.append((operation, uuid, hard))

    def get_console_log(self, context, host, uuid, max_bytes):
        return self.console

    def get_guest(self, context, host, uuid):
        return self.guest

    def list_tasks(self, context, host):
        if host in self.refusals:
            raise self.refusals[host]
        return self.tasks

    def get_task_history(self, context, host, name):
        if name not in [task['name'] for task in self.tasks]:
            raise exception.TaskNotFound(name=name)
        return self.history

    def run_task(self, context, host, name, accept=None):
        return self.record

    def list_regressed(self, context, host):
        if host in self.refusals:
            raise self.refusals[host]
        return [{'uuid': one.uuid, 'name': one.name}
                for one in self.primary + self.lost if one.host == host]

    def reconcile(self, context, host, uuid, keep_guest):
        if uuid in self.refusals:
            raise self.refusals[uuid]
        self.operated.append((host, uuid, keep_guest))
