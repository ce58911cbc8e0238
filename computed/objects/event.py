"""The action log: what was done to instances and hosts."""

import datetime
import typing

from oslo_versionedobjects import fields

from computed import context as computed_context
from computed.db import cell as db
from computed.objects import arguments
from computed.objects import base


@base.registry.register
class Event(base.ComputedObject):
    """An act on an instance or a host.

    ``uuid``, ``name``, ``state_before`` and ``state_after`` are of the
    instance; they are None if it is an act on a host. ``ended_at`` and
    ``result`` are None as long as the act goes on. ``result`` is ``done``,
    ``failed``, ``released`` (nothing was done, or nobody knows what) or
    ``taken over`` (another claim of the host goes on).
    """

    VERSION = '1.0'

    fields = {
        'id': fields.IntegerField(),
        'began_at': fields.DateTimeField(),
        'ended_at': fields.DateTimeField(nullable=True),
        'uuid': fields.StringField(nullable=True),
        'name': fields.StringField(nullable=True),
        'host': fields.StringField(nullable=True),
        'operation': fields.StringField(),
        'asked_by': fields.StringField(),
        'request_id': fields.StringField(nullable=True),
        'claim_id': fields.StringField(nullable=True),
        'state_before': fields.StringField(nullable=True),
        'state_after': fields.StringField(nullable=True),
        'result': fields.StringField(nullable=True),
        'fault': fields.StringField(nullable=True),
        'reason': fields.StringField(nullable=True),
        'damaged': fields.ListOfStringsField(),
    }


@base.registry.register
class EventList(base.Page, base.ComputedObject):
    """A page of the action log, the newest acts first."""

    VERSION = '1.0'

    fields = {'objects': fields.ListOfObjectsField('Event')}
    SINCE = {}

    @base.remotable_read
    def get_by_instance(
            cls, context: computed_context.RequestContext, name: str,
            since: arguments.Moment | None = None, limit: int | None = None,
            marker: str | None = None) -> 'EventList':
        """See :func:`computed.db.cell.history.lists.of_instance`.

        :param since: seconds since 1970, by the clock of the database
        """
        return cls.of(context, db.history.lists.of_instance(
            context, name, _moment(since), limit, marker), Event.from_row)

    @base.remotable_read
    def get_by_host(
            cls, context: computed_context.RequestContext, host: str | None,
            since: arguments.Moment | None = None, limit: int | None = None,
            marker: str | None = None) -> 'EventList':
        """See :func:`computed.db.cell.history.lists.of_host`.

        :param since: as for :meth:`get_by_instance`
        """
        return cls.of(context, db.history.lists.of_host(
            context, host, _moment(since), limit, marker), Event.from_row)

    @classmethod
    @base.remotable
    def note_brake(cls, context: computed_context.RequestContext, host: str,
                   task: str, reason: str) -> None:
        """See :func:`computed.db.cell.history.notes.brake`."""
        db.history.notes.brake(context, host, task, reason)


def _moment(seconds: float | None) -> typing.Any:
    return None if seconds is None else datetime.datetime.fromtimestamp(
        seconds, datetime.UTC).replace(tzinfo=None)
