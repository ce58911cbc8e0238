"""A periodic task: instances are lent, and stopped when the time is up."""

import datetime

from oslo_config import cfg

from computed import exception
from computed import periodic
from computed import states
from computed.objects import instance as instance_obj
from computed.operations import operation
from computed.operations import power
from computed.repair import brakes

# begin options
OPTS = [
    cfg.IntOpt('end_leases_interval', default=60, mutable=True, help="""
Seconds between two looks for instances that ran for ``lease``. 0 turns it
off.
"""),
    cfg.IntOpt('lease', min=1, default=86400, mutable=True, help="""
Seconds that an instance may run before it is stopped.
"""),
]
# end options


# begin decision
def overdue(instances, now, lease):
    """Those of ``instances`` whose time is up. No reads, no writes.

    Instances that somebody works on are left out.

    :param now: a ``datetime`` with its time zone
    :param lease: seconds
    """
    return [instance for instance in instances
            if instance.vm_state == states.ACTIVE and
            not instance.task_state and not instance.claim_id and
            instance.launched_at is not None and
            (now - instance.launched_at).total_seconds() >= lease]
# end decision


# begin task
@periodic.periodic_task(spacing='end_leases_interval')
def end_leases(manager, context):
    """Stop the instances of this host whose lease is over.

    :rtype: computed.periodic.Report
    """
    instances = instance_obj.InstanceList.get_by_host(
        context, manager.host, use_slave=True)
    late = overdue(instances, datetime.datetime.now(datetime.UTC),
                   manager.conf.tasks.lease)
    report = periodic.Report(candidates=len(late))
    allowed = brakes.limit(manager.conf.tasks.max_repairs_per_pass,
                           len(instances))
    for instance in late:
        outcome = end_lease(manager, context, instance, allowed)
        setattr(report, outcome, getattr(report, outcome) + 1)
    return report
# end task


# begin act
def end_lease(manager, context, instance, allowed):
    """Stop one instance, if the primary too says that its time is up.

    :param allowed: how many stops an hour the brake lets through
    :returns: the field of the report in which it counts
    """
    with manager.locks.held(instance.uuid, timeout=0) as free:
        if not free:
            return 'refused'
        try:
            claim = manager.claims.claim(
                context, instance.uuid, 'end_leases',
                {'revision': instance.revision, 'vm_state': states.ACTIVE,
                 'task_state': None})
        except exception.ClaimLost:
            return 'lost_races'
        if not manager.hourly.take(allowed):
            manager.claims.release(context, claim)
            return 'refused'
        operation.perform(manager, context, power.STOP, claim)
        return 'acted'
# end act
