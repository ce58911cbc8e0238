"""_sync_power_states: what is recorded is what is, and the other way round.

The replica says which instances look wrong; the primary says which are. The
table of states is nova's; see :func:`judge`.
"""

import dataclasses
from concurrent import futures

from oslo_log import log as logging

from computed import brakes
from computed import exception
from computed import metrics
from computed import periodic
from computed import states
from computed.objects import instance as instance_obj
from computed.operations import operation
from computed.operations import power
from computed.virt import driver

LOG = logging.getLogger(__name__)
TASK = '_sync_power_states'

ABSENT = driver.InstanceInfo(uuid='', power_state=states.NOSTATE)
OFF = (states.SHUTDOWN, states.CRASHED)
ON = (states.RUNNING, states.POWER_PAUSED, states.POWER_SUSPENDED)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What is to be done about one instance.

    :ivar record: its recorded power state differs
    :ivar repair: None, ``stop``, ``resume`` or ``adopt``
    :ivar proven: the driver knows how the guest ended; no brake holds, for
        a broken hypervisor does not make up exit codes
    :ivar warning: what an operator should know, or None
    """

    record: bool = False
    repair: str | None = None
    warning: str | None = None
    proven: bool = False

    def __bool__(self):
        return self.record or self.repair is not None


def judge(vm_state, recorded, actual, exit_code=None, unexpected='stop',
          resume=False):
    """Compare one instance's records with its guest. No reads, no writes.

    :param recorded: the power state in the database
    :param actual: the power state of the guest
    :param exit_code: of a guest that ended, if the driver knows it
    :param unexpected: what to do with a guest that runs although stopped:
        ``stop``, ``adopt`` or ``log``
    :param resume: start guests that ran before this machine was restarted
    """
    repair = warning = None
    if vm_state == states.ACTIVE:
        if actual in OFF:
            repair = 'resume' if resume else 'stop'
        elif actual == states.POWER_SUSPENDED:
            repair = 'stop'
        elif actual == states.POWER_PAUSED:
            warning = 'is paused although active; paused from outside?'
        elif actual == states.NOSTATE:
            warning = 'is active but has no guest; is the hypervisor back?'
    elif vm_state == states.STOPPED and actual in ON:
        repair, warning = _unexpectedly_on(actual, unexpected)
    elif vm_state == states.PAUSED and actual in OFF:
        repair = 'stop'
    elif vm_state in (states.SOFT_DELETED, states.DELETED):
        if actual not in (states.SHUTDOWN, states.NOSTATE):
            warning = 'is deleted but its guest is still there'
    proven = actual in OFF and exit_code is not None
    return Verdict(recorded != actual, repair, warning, proven)


def _unexpectedly_on(actual, unexpected):
    if unexpected == 'log':
        return None, 'is stopped but its guest is on'
    if unexpected == 'adopt' and actual != states.POWER_SUSPENDED:
        return 'adopt', None
    return 'stop', None


def compare(instances, snapshot, **how):
    """``[(instance, verdict)]`` of the instances about which anything is to
    be done or said. Pure.

    Instances that somebody works on are left out. Only a complete snapshot
    may be passed: in it, a missing guest is an absent one.
    """
    found = []
    for instance in instances:
        if instance.task_state or instance.claim_id:
            continue
        info = snapshot.instances.get(instance.uuid, ABSENT)
        verdict = judge(instance.vm_state, instance.power_state,
                        info.power_state, info.exit_code, **how)
        if verdict or verdict.warning:
            found.append((instance, verdict))
    return found


@periodic.periodic_task(spacing='sync_power_state_interval',
                        run_immediately=True)
def sync_power_states(manager, context):
    """Bring records and guests of this host together.

    :rtype: computed.periodic.Report
    """
    if manager.conf.tasks.sync_power_state_mode == 'off':
        return periodic.Report(note='mode is off')
    try:
        found, instances = look(manager, context, use_slave=True)
    except exception.DriverNotReady as error:
        return periodic.Report(note=str(error))
    allowed = limit(manager, instances)
    if len(doubtful(found)) > manager.hourly.room(allowed):
        # So many: rather a broken hypervisor or a wrong list. Look again,
        # at the primary and at every guest, before believing it.
        found, instances = look(manager, context, use_slave=False)
        allowed = limit(manager, instances)
    report = periodic.Report(
        candidates=sum(1 for _, verdict in found if verdict))
    warn(manager, found)
    left = braked(manager, context, doubtful(found), allowed, report)
    repair_all(manager, context,
               [(instance, None if verdict.proven else allowed)
                for instance, verdict in found
                if verdict.repair and instance not in left], report)
    record(manager, context, [
        instance for instance, verdict in found if verdict.record and
        (not verdict.repair or instance in left)], report)
    if not report.refused:
        manager.reboot_is_over()
    manager.claims.reap(context, instances)
    return report


def how(manager):
    """What the options say about judging, as arguments of :func:`judge`."""
    return {'unexpected': manager.conf.tasks.stop_unexpectedly_running,
            'resume': manager.after_reboot and
            manager.conf.virt.resume_guests_state_on_host_boot}


def look(manager, context, use_slave):
    """Read both sides whole and compare them.

    :returns: ``compare()`` of them, and all instances of the host
    :raises computed.exception.DriverNotReady: the hypervisor's side is not
        known, so nothing follows
    """
    instances = instance_obj.InstanceList.get_by_host(
        context, manager.host, use_slave=use_slave)
    snapshot = manager.driver.list_instances()
    if not snapshot.complete:
        raise exception.DriverNotReady(reason='its list is incomplete')
    known = {instance.uuid for instance in instances}
    metrics.unknown_guests.set(len(snapshot.instances.keys() - known))
    return compare(instances, snapshot, **how(manager)), instances


def warn(manager, found):
    """Say once what an operator should know, again only when it changed."""
    warnings = {instance.uuid: verdict.warning for instance, verdict in found
                if verdict.warning}
    for instance, verdict in found:
        if verdict.warning and (
                manager.warned.get(instance.uuid) != verdict.warning):
            LOG.warning('Instance %(name)s %(warning)s',
                        {'name': instance.name, 'warning': verdict.warning})
    manager.warned = warnings


def record(manager, context, instances, report):
    """Write the power state of each guest, looked at once more, in one call.

    Guarded by what it was judged by, so a lagging list cannot harm.
    """
    changes = []
    for instance in instances:
        with manager.locks.held(instance.uuid, timeout=0) as free:
            if not free:
                continue
            info = guest_of(manager, instance.uuid)
        if info and info.power_state != instance.power_state:
            changes.append({'uuid': instance.uuid, 'new': info.power_state,
                            'old': instance.power_state,
                            'vm_state': instance.vm_state})
    if not changes:
        return
    done = instance_obj.InstanceList.record_power_states(
        context, manager.host, changes)
    report.recorded += done
    report.lost_races += len(changes) - done
    metrics.drift.labels(TASK, 'confirmed').inc(done)
    metrics.drift.labels(TASK, 'false').inc(len(changes) - done)


def guest_of(manager, uuid):
    """The guest, looked at now, perhaps absent; None if it is not known."""
    try:
        return manager.driver.get_instance(uuid)
    except exception.GuestNotFound:
        return ABSENT
    except exception.DriverError as error:
        problem = error
    LOG.warning('Instance %(uuid)s cannot be looked at: %(problem)s',
                {'uuid': uuid, 'problem': problem})
    return None


def limit(manager, instances):
    """How many doubtful repairs a pass, or an hour, may do."""
    return brakes.limit(manager.conf.tasks.max_repairs_per_pass,
                        len(instances))


def doubtful(found):
    """Those to be repaired on no better word than the hypervisor's."""
    return [instance for instance, verdict in found
            if verdict.repair and not verdict.proven]


def braked(manager, context, instances, allowed, report):
    """Those of ``instances`` that may not be repaired; says why, once.

    What an operator accepted, and what a restart of the machine explains,
    is above the limit.
    """
    count = len(instances)
    if manager.after_reboot or count <= max(
            manager.hourly.room(allowed), context.accept_repairs or 0):
        manager.braked = None
        return []
    report.refused += count
    report.note = (f'{count} repairs are more than the brake allows '
                   f'({allowed} an hour)')
    names = ', '.join(instance.name for instance in instances[:10])
    if manager.braked != names:
        LOG.error('%(note)s, so none is done: %(names)s. Look at hypervisor '
                  'and database; if they are right: `%(command)s`.',
                  {'note': report.note, 'names': names,
                   'command': manager.command_line(
                       f'task run {TASK} --host {manager.host} '
                       f'--accept {count}')})
    manager.braked = names
    return instances


def repair_all(manager, context, wanted, report):
    """Repair instances side by side.

    :param wanted: ``[(instance, repairs allowed an hour or None)]``
    """
    if not wanted:
        return
    if manager.conf.tasks.sync_power_state_mode == 'observe':
        report.refused += len(wanted)
        report.note = f'would have repaired {len(wanted)}'
        LOG.info('Observing only: would have repaired %s.',
                 ', '.join(instance.name for instance, _ in wanted))
        return
    if manager.after_reboot or context.accept_repairs:
        wanted = [(instance, None) for instance, _ in wanted]
    with futures.ThreadPoolExecutor(
            manager.conf.tasks.sync_power_state_pool_size,
            thread_name_prefix='repair') as pool:
        outcomes = list(pool.map(
            lambda one: repair_safely(manager, context, *one), wanted))
    report.acted += outcomes.count('acted')
    report.lost_races += outcomes.count('lost')
    report.refused += outcomes.count('refused')


def repair_safely(manager, context, instance, allowed):
    """As :func:`repair`; one instance's trouble is not the others'."""
    context.update_store()      # its request id, in this thread's log lines
    try:
        return repair(manager, context, instance, allowed)
    except Exception:
        LOG.exception('Instance %s could not be repaired.', instance.name)
        return 'refused'


def repair(manager, context, instance, allowed):
    """Claim an instance that looks wrong, look again, and put it right.

    The claim names no transition: should this service die now, its successor
    must judge the instance anew and not finish what was never decided.

    :param instance: as it looked when it was chosen, perhaps long ago
    :param allowed: repairs an hour; None for no limit
    :returns: ``acted``, ``lost`` (it is not as it had looked) or
        ``refused`` (somebody works on it, or the brake holds)
    """
    with manager.locks.held(instance.uuid, timeout=0) as free:
        if not free:
            return 'refused'
        try:
            claim = manager.claims.claim(
                context, instance.uuid, TASK,
                {'vm_state': instance.vm_state, 'task_state': None})
        except exception.ClaimLost:
            metrics.drift.labels(TASK, 'false').inc()
            return 'lost'
        return act(manager, context, claim, allowed)


def act(manager, context, claim, allowed):
    """Judge the claimed row against the guest as it is now, and act on it.
    """
    fresh = claim.instance
    try:
        info = guest_of(manager, fresh.uuid)
        verdict = Verdict() if info is None else judge(
            fresh.vm_state, fresh.power_state, info.power_state,
            info.exit_code, **how(manager))
    except BaseException:
        manager.claims.release(context, claim)
        raise
    if not verdict.repair:
        manager.claims.release(context, claim)
        metrics.drift.labels(TASK, 'false').inc()
        return 'lost'
    metrics.drift.labels(TASK, 'confirmed').inc()
    if allowed is not None and not verdict.proven and (
            not manager.hourly.take(allowed)):
        manager.claims.release(context, claim)
        return 'refused'
    LOG.info('Instance %(name)s is %(vm_state)s but its guest is %(actual)s: '
             '%(repair)s.',
             {'name': fresh.name, 'vm_state': fresh.vm_state,
              'actual': states.power_name(info.power_state),
              'repair': verdict.repair})
    operation.perform(manager, context, REPAIRS[verdict.repair], claim)
    metrics.repairs.labels(TASK, verdict.repair).inc()
    return 'acted'


def _adopt(manager, claim):
    seen = operation.observed(manager, claim.uuid)
    vm_state = (states.PAUSED if seen.get('power_state') ==
                states.POWER_PAUSED else states.ACTIVE)
    return {**seen, 'vm_state': vm_state}


REPAIRS = {
    'stop': power.STOP,
    'resume': power.START,
    'adopt': operation.Operation('adopt', (), None, _adopt),
}


def look_at(manager, context, uuid):
    """Check one instance of this host now: a driver hinted at it.

    A hint is no fact: both sides are read afresh, the row on the primary.
    """
    mode = manager.conf.tasks.sync_power_state_mode
    if mode == 'off':
        return
    try:
        instance = instance_obj.Instance.get_by_uuid(
            context, uuid, use_slave=False)
    except exception.InstanceNotFound:
        return
    if (instance.deleted or instance.host != manager.host or
            instance.task_state or instance.claim_id):
        return
    info = guest_of(manager, uuid)
    if info is None:
        return
    verdict = judge(instance.vm_state, instance.power_state,
                    info.power_state, info.exit_code, **how(manager))
    done = None
    if verdict.repair and mode == 'enforce':
        done = repair(manager, context, instance, limit(manager, ()))
    if verdict.record and done in (None, 'refused'):
        record(manager, context, [instance], periodic.Report())
