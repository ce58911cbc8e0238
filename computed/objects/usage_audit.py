"""The audits of usage: each instance of a period is reported once by key."""

import itertools
import typing
from collections import abc

from oslo_versionedobjects import fields

from computed import context as computed_context
from computed import exception
from computed.conf import audit_period
from computed.db import cell as db
from computed.objects import arguments
from computed.objects import base

Result: typing.TypeAlias = abc.Sequence[tuple[str, bool | None]]

EXISTS = 'compute.instance.exists'
# How many instances one call reports.
AT_ONCE = 100
# How often an instance that was refused is tried.
ATTEMPTS = 3
# The most refused instances that are remembered: their uuids fit the column.
REMEMBERED = 1000
# Seconds: no answer of a replica need be newer.
FRESH = 10.0
# What consumers are told of an instance, besides its traffic.
TOLD = ('uuid', 'name', 'host', 'vm_state', 'power_state', 'vcpus',
        'memory_mb', 'disk_gb', 'network', 'created_at', 'first_launched_at',
        'launched_at', 'deleted_at', 'terminated_at')


@base.registry.register
class UsageAudit(base.ComputedObject):
    """How far the audit of one host and one period has come.

    ``state`` is ``running``, ``done``, or ``failed``: then ``unreported`` has
    the uuids of those that consumers were not told of. ``now`` is the time of
    the database when it was read.
    """

    VERSION = '1.0'

    fields = {
        'host': fields.StringField(),
        'period_beginning': fields.DateTimeField(),
        'period_ending': fields.DateTimeField(),
        'state': fields.StringField(),
        'writes': fields.IntegerField(),
        'attempt': fields.IntegerField(),
        'marker': fields.StringField(),
        'reported': fields.IntegerField(),
        'unreported': fields.StringField(),
        'began_at': fields.DateTimeField(),
        'ended_at': fields.DateTimeField(nullable=True),
        'now': fields.DateTimeField(),
        'damaged': fields.ListOfStringsField(),
    }

    @property
    def name(self) -> str:
        """Return what errors call it."""
        return self.host

    @property
    def refused(self) -> list[str]:
        """Return the uuids of those that consumers were not told of."""
        return self.unreported.split()

    @classmethod
    @base.remotable
    def begin(cls, context: computed_context.RequestContext, host: str,
              begin: arguments.Moment, end: arguments.Moment) -> typing.Self:
        """See :func:`computed.db.cell.audits.begin`."""
        return cls.from_row(context, db.audits.begin(
            context, host, db.audits.period(begin, end)))

    @base.remotable_write
    def report(self) -> None:
        """Report the next instances, and write how far that has come.

        The list is R0 within a bound: no replica answers that could lack
        something of the period. Consumers have a report before it is written
        that they have it; so after a death in between it comes again, under
        the same key.

        :raises computed.exception.AuditLost: the database went back in time
        :raises computed.exception.NobodyTold: this conductor tells nobody
        """
        if db.database.cell.deliver is None:
            raise exception.NobodyTold()
        when = db.audits.period(self.period_beginning.timestamp(),
                                self.period_ending.timestamp())
        wanted = None if self.attempt == 1 else self.refused
        rows, traffic = db.audits.get_existing(
            self._context.tolerating_lag(True, self._bound()), self.host,
            when, self.marker, wanted, AT_ONCE + 1)
        last, rows = len(rows) <= AT_ONCE, rows[:AT_ONCE]
        told = db.database.cell.deliver(
            [_fact(when, row, traffic.get(row.uuid, ())) for row in rows])
        values = after(self, [*zip([row.uuid for row in rows], told,
                                   strict=True)], last)
        if values is not None:
            row = db.audits.advance(
                self._context, self.host, when, self.writes, values)
            for name in (*values, 'writes', 'ended_at', 'now'):
                setattr(self, name, base.as_aware(getattr(row, name)))

    def _bound(self) -> float:
        """Return how old an answer may be and have all of the period."""
        over = (self.now - self.period_ending).total_seconds()
        return min(max(over - audit_period.SETTLED, 0.0), FRESH)


def after(audit: typing.Any, told: Result, last: bool
          ) -> dict[str, typing.Any] | None:
    """Return what to write after a part was reported. Pure.

    :param audit: a :class:`UsageAudit` as it was
    :param told: for each uuid of the part whether consumers were told; None:
        there was no time
    :param last: whether the part was the last one
    :returns: None: nothing has changed
    """
    # What follows one that there was no time for comes with the next part.
    whole = [*itertools.takewhile(lambda one: one[1] is not None, told)]
    if len(whole) < len(told):
        last = False
    if not (whole or last):
        return None
    refused = {*audit.unreported.split()} | {
        uuid for uuid, done in whole if not done}
    refused -= {uuid for uuid, done in whole if done}
    values = {'state': db.audits.RUNNING, 'attempt': audit.attempt,
              'marker': whole[-1][0] if whole else audit.marker,
              'reported': audit.reported + sum(
                  done is True for _, done in whole),
              'unreported': ' '.join(sorted(refused)[:REMEMBERED])}
    if last:
        if not refused:
            values['state'] = db.audits.DONE
        elif audit.attempt >= ATTEMPTS:
            values['state'] = db.audits.FAILED
        else:
            values.update(attempt=audit.attempt + 1, marker='')
    return values


def _fact(when: typing.Any, row: typing.Any,
          traffic: abc.Iterable[typing.Any]) -> typing.Any:
    begin, end = (f'{border:%Y-%m-%dT%H:%M:%SZ}' for border in when)
    return db.history.notices.Fact(EXISTS, f'{row.uuid}:{begin}:{end}', {
        'audit_period_beginning': base.as_aware(when.begin),
        'audit_period_ending': base.as_aware(when.end),
        **{name: base.as_aware(getattr(row, name)) for name in TOLD},
        'bandwidth': [{name: getattr(one, name) for name in (
            'mac_address', 'bw_in', 'bw_out')} for one in traffic]})


@base.registry.register
class UsageAuditList(base.ObjectListBase, base.ComputedObject):
    """Audits, the newest periods first."""

    VERSION = '1.0'

    fields = {'objects': fields.ListOfObjectsField('UsageAudit')}

    @base.remotable_read
    def get_recent(cls, context: computed_context.RequestContext,
                   host: str) -> typing.Self:
        """See :func:`computed.db.cell.audits.get_recent`."""
        self = cls(context, objects=[
            UsageAudit.from_row(context, row)
            for row in db.audits.get_recent(context, host)])
        self.obj_reset_changes()
        return self

    @base.remotable_read
    def get_retired(cls, context: computed_context.RequestContext,
                    begin: arguments.Moment,
                    end: arguments.Moment) -> list[str]:
        """See :func:`computed.db.cell.audits.get_retired`."""
        return db.audits.get_retired(
            context, db.audits.period(begin, end))
