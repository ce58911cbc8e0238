"""_sync_power_states: what is recorded is what is, and the other way round.

The replica says which instances look wrong; the primary says which are. What
"wrong" means is decided in :mod:`computed.tasks.power_states.drift`.
"""

from concurrent import futures

from oslo_log import log as logging

from computed import exception
from computed import metrics
from computed import periodic
from computed import states
from computed.claims import claims
from computed.claims import recovery
from computed.objects import instance as instance_obj
from computed.operations import operation
from computed.operations import power
from computed.repair import brakes
from computed.tasks.power_states import drift

LOG = logging.getLogger(__name__)
TASK = '_sync_power_states'


@periodic.periodic_task(spacing='sync_power_state_interval',
                        run_immediately=True)
def sync_power_states(manager, context):
    """Bring records and guests of this host together.

    :rtype: computed.periodic.Report
    """
    if manager.conf.tasks.sync_power_state_mode == 'off':
        return periodic.Report(note='mode is off')
    try:
        # That a restart of the machine is over is decided by this list, too.
        found, instances = look(manager, context,
                                use_slave=not manager.after_reboot)
    except exception.DriverNotReady as error:
        return periodic.Report(note=str(error))
    allowed = limit(manager, instances)
    if len(drift.doubtful(found)) > manager.hourly.room(allowed):
        # So many: rather a broken hypervisor or a wrong list. Look again,
        # at the primary and at every guest, before believing it.
        found, instances = look(manager, context, use_slave=False)
        allowed = limit(manager, instances)
    report = periodic.Report(
        candidates=sum(1 for _, verdict in found if verdict))
    warn(manager, found)
    left = braked(manager, context, drift.doubtful(found), allowed, report)
    try:
        left = left + repair_all(
            manager, context, [(instance, None if verdict.proven else allowed)
                               for instance, verdict in found
                               if verdict.repair and instance not in left],
            report)
        record(manager, context, [
            instance for instance, verdict in found if verdict.record and
            (not verdict.repair or instance in left)], report)
        unanswered = None
    except claims.UNANSWERED as error:
        unanswered = str(error)
    if unanswered:
        return put_off(report, unanswered)
    if not report.refused:
        manager.reboot_is_over()
    recovery.release_orphaned(manager.claims, context, instances)
    return report


def put_off(report, reason):
    """End a pass: nobody can be asked for leave. The next one begins anew.
    """
    report.refused = (report.candidates - report.acted - report.lost_races -
                      report.recorded)
    report.note = f'{report.refused} candidates are put off: {reason}'
    LOG.warning('%s', report.note)
    return report


def judge_options(manager):
    """What the options say, as arguments of :func:`.drift.judge`."""
    return {'unexpected': manager.conf.tasks.stop_unexpectedly_running,
            'resume': manager.after_reboot and
            manager.conf.virt.resume_guests_state_on_host_boot}


def look(manager, context, use_slave):
    """Read both sides whole and compare them.

    :returns: what :func:`.drift.compare` finds, and all instances of the host
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
    return drift.compare(
        instances, snapshot, **judge_options(manager)), instances


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
        return drift.ABSENT
    except Exception as error:      # whatever a driver raises
        problem = operation.error_text(error)
    LOG.warning('Instance %(uuid)s cannot be looked at: %(problem)s',
                {'uuid': uuid, 'problem': problem})
    return None


def limit(manager, instances):
    """How many doubtful repairs a pass, or an hour, may do."""
    return brakes.limit(manager.conf.tasks.max_repairs_per_pass,
                        len(instances))


def braked(manager, context, instances, allowed, report):
    """Those of ``instances`` that may not be repaired; says why, once.

    What an operator accepted, and what a restart of the machine explains,
    is above the limit.
    """
    count = len(instances)
    if manager.after_reboot or count <= max(
            manager.hourly.room(allowed), context.accept_repairs or 0):
        manager.braked = None
        metrics.brake_held.labels(TASK).set(0)
        return []
    metrics.brake_held.labels(TASK).set(count)
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
    :returns: the instances that were left as they are
    :raises computed.exception.ComputedError: one of ``claims.UNANSWERED``;
        what was done till then is counted
    """
    if not wanted:
        return []
    if manager.conf.tasks.sync_power_state_mode == 'observe':
        report.refused += len(wanted)
        report.note = f'would have repaired {len(wanted)}'
        LOG.info('Observing only: would have repaired %s.',
                 ', '.join(instance.name for instance, _ in wanted))
        return [instance for instance, _ in wanted]
    if manager.after_reboot or context.accept_repairs:
        wanted = [(instance, None) for instance, _ in wanted]
    ended: list[Exception] = []
    with futures.ThreadPoolExecutor(
            manager.conf.tasks.sync_power_state_pool_size,
            thread_name_prefix='repair') as pool:
        outcomes = list(pool.map(
            lambda one: repair_safely(manager, context, ended, *one),
            wanted))
    report.acted += outcomes.count('acted')
    report.lost_races += outcomes.count('lost')
    report.refused += outcomes.count('refused')
    if ended and not isinstance(ended[0], exception.Frozen):
        raise ended[0]
    if ended:
        report.note = str(ended[0])
        LOG.warning('%s', report.note)
    return [instance for (instance, _), outcome in zip(
        wanted, outcomes, strict=True) if outcome == 'refused']


def repair_safely(manager, context, ended, instance, allowed):
    """As :func:`repair`; one instance's trouble is not the others'.

    :param ended: a list that gets the reason why nothing may be begun here,
        or nobody can be asked for leave; from then on nobody else asks
    """
    context.update_store()      # its request id, in this thread's log lines
    # An operator may have turned it off while the pass went on.
    if ended or manager.stopping.is_set() or (
            manager.conf.tasks.sync_power_state_mode != 'enforce'):
        return 'refused'
    try:
        return repair(manager, context, instance, allowed)
    except (exception.Frozen, *claims.UNANSWERED) as error:
        ended.append(error)
        return 'refused'
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
        ``refused`` (somebody works on it, the brake holds, or the guest
        cannot be looked at)
    :raises computed.exception.Frozen: nothing may be begun here
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
        verdict = info and drift.judge(
            fresh.vm_state, fresh.power_state, info.power_state,
            info.exit_code, **judge_options(manager))
    except BaseException:
        manager.claims.release(context, claim)
        raise
    if verdict is None:
        manager.claims.release(context, claim)
        return 'refused'
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


def check_instance(manager, context, uuid):
    """Check one instance of this host now: a driver hinted at it.

    A hint is no fact: both sides are read afresh, the row on the primary.
    """
    mode = manager.conf.tasks.sync_power_state_mode
    if mode == 'off' or manager.stopping.is_set():
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
    verdict = drift.judge(instance.vm_state, instance.power_state,
                          info.power_state, info.exit_code,
                          **judge_options(manager))
    done = frozen = None
    if verdict.repair and mode == 'enforce':
        try:
            done = repair(manager, context, instance, limit(manager, ()))
        except exception.Frozen as error:
            done, frozen = 'refused', str(error)
    if frozen:
        LOG.warning('%s', frozen)
    if verdict.record and done in (None, 'refused'):
        record(manager, context, [instance], periodic.Report())
