"""The payloads of notifications.

As objects they have a name and a version: a consumer that knows the major
version can read every minor one, in which fields are only added.
"""

import typing

from oslo_versionedobjects import fields

from computed.objects import base

DAMAGED = ('the fields whose values in the database cannot be read; here they '
           'are null, 0 or empty')


class Payload(base.ComputedObject):
    """What a notification says.

    Each payload has ``key``: two notifications with the same key tell of the
    same, because a sender that got no answer sends again.

    :cvar MEANING: ``{field: what it says}``, for the page
    :cvar PRIORITIES: ``{event type: priority}``, for the page
    """

    MEANING: dict[str, str] = {}
    PRIORITIES: dict[str, str] = {}

    @classmethod
    def of(cls, **values: typing.Any) -> typing.Self:
        """Return a payload of values as the database has them.

        A damaged value must not keep consumers from being told, so the field
        ``damaged`` names it.
        """
        values = {**values, base.DAMAGED: []}
        try:
            return cls(**values)
        except (ValueError, TypeError):
            return cls(**cls._without_damage(values))

    def to_dict(self) -> dict:
        """Return what is sent: name, namespace, version and data."""
        self.obj_reset_changes(recursive=True)
        return self.obj_to_primitive()


@base.registry.register
class InstanceActionPayload(Payload):
    """An act on an instance: it has begun or ended.

    ``phase`` is ``start``; or ``end`` if the act was done, and ``error`` if
    it failed; or ``released`` if nothing was done or nobody knows what, and
    ``taken_over`` if another claim of the host goes on. The others are what
    the action log says (``computed-manage instance events``).
    """

    VERSION = '1.0'

    fields = {
        'key': fields.StringField(),
        'phase': fields.StringField(),
        'uuid': fields.StringField(),
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
    }
    MEANING = {
        'key': 'the same each time that the same is told',
        'phase': 'what the act has come to, see above',
        'uuid': 'of the instance',
        'name': 'of the instance, at that moment',
        'host': 'the host that acts; null: the instance has none',
        'operation': 'such as ``stop``, or the name of the task that repairs',
        'asked_by': 'the user or the task that asked for it',
        'request_id': 'marks the lines of the request in every log',
        'claim_id': 'of the claim of the act; null: it needed none',
        'state_before': '``vm_state`` before the act',
        'state_after': '``vm_state`` after it; null: it goes on',
        'result': 'as the action log has it; null: it goes on',
        'fault': 'why it failed',
        'reason': 'where a task saw that something was wrong',
    }
    PRIORITIES = {
        'instance.OPERATION.start': 'info', 'instance.OPERATION.end': 'info',
        'instance.OPERATION.error': 'error',
        'instance.OPERATION.released': 'info',
        'instance.OPERATION.taken_over': 'info'}


@base.registry.register
class BandwidthPayload(Payload):
    """The traffic of one interface in a period; a part of another payload.
    """

    VERSION = '1.0'

    fields = {
        'mac_address': fields.StringField(),
        'bw_in': fields.IntegerField(),
        'bw_out': fields.IntegerField(),
        'damaged': fields.ListOfStringsField(),
    }
    MEANING = {
        'mac_address': 'of the interface; it may be removed since',
        'bw_in': 'bytes into the guest',
        'bw_out': 'bytes out of the guest',
        'damaged': DAMAGED,
    }


@base.registry.register
class InstanceExistsPayload(Payload):
    """An instance was there in a period of accounting, or in a part of it.

    The host sends one for each period that is over, if ``[tasks]
    instance_usage_audit`` is on. What it says of the instance is as of the
    moment when it was sent, after the end of the period. If it is sent again,
    that may have changed.
    """

    VERSION = '1.0'

    fields = {
        'key': fields.StringField(),
        'audit_period_beginning': fields.DateTimeField(),
        'audit_period_ending': fields.DateTimeField(),
        'uuid': fields.StringField(),
        'name': fields.StringField(),
        'host': fields.StringField(),
        'vm_state': fields.StringField(),
        'power_state': fields.IntegerField(),
        'vcpus': fields.IntegerField(),
        'memory_mb': fields.IntegerField(),
        'disk_gb': fields.IntegerField(),
        'network': fields.StringField(),
        'created_at': fields.DateTimeField(),
        'first_launched_at': fields.DateTimeField(nullable=True),
        'launched_at': fields.DateTimeField(nullable=True),
        'deleted_at': fields.DateTimeField(nullable=True),
        'terminated_at': fields.DateTimeField(nullable=True),
        'bandwidth': fields.ListOfObjectsField('BandwidthPayload'),
        'damaged': fields.ListOfStringsField(),
    }
    MEANING = {
        'key': 'the uuid, and the begin and end of the period',
        'audit_period_beginning': 'the begin of the period',
        'audit_period_ending': 'its end',
        'uuid': 'of the instance',
        'name': 'of the instance',
        'host': 'its host',
        'vm_state': 'its state; ``deleted`` if it is deleted',
        'power_state': 'as recorded last',
        'vcpus': 'as ordered',
        'memory_mb': 'as ordered',
        'disk_gb': 'as ordered',
        'network': '``host`` or ``private``',
        'created_at': 'when it was ordered',
        'first_launched_at': 'when it first ran',
        'launched_at': 'when it was last started',
        'deleted_at': 'when it was deleted; null: it is not',
        'terminated_at': 'when its guest was destroyed; null: it was not',
        'bandwidth': 'a BandwidthPayload for each interface that was counted',
        'damaged': DAMAGED,
    }
    PRIORITIES = {'compute.instance.exists': 'info'}

    @classmethod
    def of(cls, **values: typing.Any) -> typing.Self:
        """Return a payload of values as the database has them."""
        return super().of(**{**values, 'bandwidth': [
            BandwidthPayload.of(**one) for one in values['bandwidth']]})


@base.registry.register
class VolumeUsagePayload(Payload):
    """What an instance has read and written of a volume was recorded.

    All numbers count from the first attachment; the newest notification has
    all that those before it had. ``computed-manage instance volume-usage``
    shows the same.
    """

    VERSION = '1.0'

    fields = {
        'key': fields.StringField(),
        'volume_id': fields.StringField(),
        'instance_uuid': fields.StringField(),
        'reads': fields.IntegerField(),
        'read_bytes': fields.IntegerField(),
        'writes': fields.IntegerField(),
        'write_bytes': fields.IntegerField(),
        'last_refreshed': fields.DateTimeField(),
        'damaged': fields.ListOfStringsField(),
    }
    MEANING = {
        'key': 'the volume, the instance, and the moment of the reading',
        'volume_id': 'of the volume',
        'instance_uuid': 'of the instance',
        'reads': 'requests to read',
        'read_bytes': 'bytes that were read',
        'writes': 'requests to write',
        'write_bytes': 'bytes that were written',
        'last_refreshed': 'when the counters were read',
        'damaged': DAMAGED,
    }
    PRIORITIES = {'volume.usage': 'info'}


# {event type: what it says}, of what the action log lacks.
OF_FACTS: dict[str, type[Payload]] = {
    'compute.instance.exists': InstanceExistsPayload,
    'volume.usage': VolumeUsagePayload}
