"""Decide which periods of accounting are to be reported now. Pure."""

import datetime
import typing
from collections import abc

from computed.conf import audit_period
from computed.objects import usage_audit as audit_obj
from computed.periodic import timetable

Period: typing.TypeAlias = tuple[datetime.datetime, datetime.datetime]

RUNNING = 'running'
# Seconds after the end of a period in which all hosts begin its audit.
SPREAD = 3600
# The most periods before the last one that a host makes up for.
MISSED = 48


def delay(host: str, task: str, length: float) -> float:
    """Return the seconds from the end of a period to the audit of a host.

    They are always the same for a host, and spread evenly over the hosts: in
    the first hour, or the first half of a period that is shorter.

    :param length: of the period, in seconds
    """
    spread = min(SPREAD, length / 2) - audit_period.SETTLED
    return audit_period.SETTLED + spread * timetable.fraction(host, task)


def due(period: audit_period.Period, now: datetime.datetime,
        known: abc.Iterable[audit_obj.UsageAudit], host: str,
        task: str) -> list[Period]:
    """Return the periods to report, the oldest first.

    These are those of audits that have begun and not ended; the last period
    that is over; and those between it and the newest one known, if the host
    was away. A host that has no audit yet begins with the last period.

    :param known: the newest audits of the host, in any order
    """
    ends = {(one.period_beginning, one.period_ending): one.state
            for one in known}
    running = [when for when, state in ends.items() if state == RUNNING]
    last = period.last_completed(now)
    last = period.last_completed(now - datetime.timedelta(
        seconds=delay(host, task, (last[1] - last[0]).total_seconds())))
    return sorted({*running, *_since(
        period, last, max((end for _, end in ends), default=None))},
        key=lambda when: (when[1], when[0]))


def _since(period: audit_period.Period, last: Period,
           newest: datetime.datetime | None) -> list[Period]:
    """Return the periods that follow ``newest``, up to ``last``.

    Only ``last`` if no chain of periods leads there: the option was changed.
    """
    if newest is not None and last[1] <= newest:
        return []
    found = [last]
    while newest is not None and found[-1][0] > newest:
        if len(found) > MISSED:
            return [last]
        found.append(period.before(found[-1][0]))
    return found if newest in (None, found[-1][0]) else [last]
