"""The payloads of notifications.

As objects they have a name and a version: a consumer that knows the major
version can read every minor one, in which fields are only added.
"""

from oslo_versionedobjects import fields

from computed.objects import base
from computed.objects import versions


class Payload(base.ComputedObject):
    """What a notification says.

    Each payload has ``key``: two notifications with the same key say the
    same, because a sender that got no answer sends again.

    :cvar MEANING: ``{field: what it says}``, for the page
    :cvar PRIORITIES: ``{event type: priority}``, for the page
    """

    MEANING: dict[str, str] = {}
    PRIORITIES: dict[str, str] = {}

    def to_dict(self) -> dict:
        """Return what is sent: name, namespace, version and data."""
        primitive = self.obj_to_primitive()
        primitive.pop(versions.CHANGES, None)
        return primitive


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
