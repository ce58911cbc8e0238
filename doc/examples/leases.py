"""A periodic task: instances are lent, and stopped when the time is up."""

import datetime

from oslo_config import cfg

from computed import clock
from computed import periodic
from computed import states
from computed.operations import power
from computed.repair import engine
from computed.repair import policy

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
def overdue(instance, now, lease):
    """Return whether the time of an instance is up. No reads, no writes.

    :param now: a ``datetime`` with its time zone
    :param lease: seconds
    """
    return (instance.vm_state == states.ACTIVE and
            instance.launched_at is not None and
            (now - instance.launched_at).total_seconds() >= lease)
# end decision


# begin policy
class EndLeases(policy.Policy):
    """Stop the instances of this host whose lease is over."""

    name = '_end_leases'
    operations = {'stop': power.STOP}
    looks_at_guests = False

    def facts(self, manager, row):
        """Return what the claim rests on."""
        return {'vm_state': row.vm_state, 'task_state': None,
                'launched_at': row.launched_at}

    def judge(self, manager, row, guest):
        """Return what is to be done about an instance."""
        now = datetime.datetime.fromtimestamp(clock.time(), datetime.UTC)
        late = overdue(row, now, manager.conf.tasks.lease)
        return policy.Verdict(repair='stop' if late else None)
# end policy


# begin task
@periodic.periodic_task(spacing='end_leases_interval')
def end_leases(manager, context):
    """Stop the instances of this host whose lease is over.

    :rtype: computed.periodic.Report
    """
    return engine.run(manager, context, EndLeases())
# end task
