"""_instance_usage_audit: report which instances this host had in a period.

Which periods are due is decided in :mod:`computed.usage.audits`, and how far
a report is in :mod:`computed.objects.usage_audit`.
"""

import datetime
import typing

from oslo_log import log as logging

from computed import context as computed_context
from computed import exception
from computed import periodic
from computed.objects import usage_audit as audit_obj
from computed.usage import audits

if typing.TYPE_CHECKING:
    from computed import manager as manager_module

LOG = logging.getLogger(__name__)

Manager: typing.TypeAlias = 'manager_module.ComputeManager'
Context = computed_context.RequestContext

TASK = '_instance_usage_audit'


@periodic.periodic_task(spacing='usage_audit_poll_interval', reads={
    'the audits of its host': 'R0',
    'the instances of a period, within a bound': 'R0'})
def instance_usage_audit(manager: Manager,
                         context: Context) -> periodic.Report:
    """Report the instances of each period that is over, once by key.

    Whether one is due is R0: the primary has the row that says how far an
    audit is. The instances themselves are R0 within a bound, see
    :meth:`computed.objects.usage_audit.UsageAudit.report`.
    """
    if not manager.conf.tasks.instance_usage_audit:
        return periodic.Report(note='[tasks] instance_usage_audit is false')
    known = audit_obj.UsageAuditList.get_recent(
        context, manager.host, use_slave=True)
    report = periodic.Report()
    try:
        for when in audits.due(
                manager.conf.tasks.instance_usage_audit_period,
                datetime.datetime.fromtimestamp(
                    manager.database_time.now(), datetime.UTC),
                known, manager.host, TASK):
            if not _audit(manager, context, manager.host, when, report):
                break
            _audit_retired(manager, context, when, report)
    except exception.NobodyTold as error:
        report.note = str(error)
    return report


def _audit_retired(manager: Manager, context: Context, when: audits.Period,
                   report: periodic.Report) -> None:
    """Do the audits of hosts that are deleted and cannot do them.

    The list is R0: a host that a replica does not show as deleted yet is
    found by the next host that ends its own audit.
    """
    for host in audit_obj.UsageAuditList.get_retired(
            context, *_seconds(when), use_slave=True):
        if not _audit(manager, context, host, when, report):
            break


def _seconds(when: audits.Period) -> tuple[float, float]:
    return when[0].timestamp(), when[1].timestamp()


def _audit(manager: Manager, context: Context, host: str,
           when: audits.Period, report: periodic.Report) -> bool:
    """Report the instances of a host in a period; return whether it ended.

    It goes on where a former run has stopped. Instances that were refused
    are tried once more in each of the next runs.
    """
    audit = audit_obj.UsageAudit.begin(context, host, *_seconds(when))
    attempt, before = audit.attempt, audit.reported
    ended = audit.state != audits.RUNNING
    while (audit.state == audits.RUNNING and audit.attempt == attempt and
           not manager.stopping.is_set()):
        written = audit.writes
        audit.report()
        if audit.writes == written:
            report.note = 'notifications cannot be sent now; the next run ' \
                          'goes on'
            break
    report.recorded += audit.reported - before
    report.failed += 0 if ended else len(audit.refused)
    if ended or audit.state == audits.RUNNING:
        return ended
    _log(audit)
    return True


def _log(audit: audit_obj.UsageAudit) -> None:
    values = {'host': audit.host, 'count': audit.reported,
              'begin': f'{audit.period_beginning:%Y-%m-%dT%H:%M:%SZ}',
              'end': f'{audit.period_ending:%Y-%m-%dT%H:%M:%SZ}',
              'refused': ', '.join(audit.refused)}
    LOG.info('%(count)s instances that host %(host)s had from %(begin)s to '
             '%(end)s were reported.', values)
    if audit.refused:
        LOG.warning('Of the instances that host %(host)s had from %(begin)s '
                    'to %(end)s, these could not be reported: %(refused)s.',
                    values)
