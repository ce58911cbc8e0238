"""What is sent, and how it is made of what was noted."""

import dataclasses
import re
import typing

from computed.objects import payload as payload_obj

if typing.TYPE_CHECKING:
    # A host loads no SQL.
    from computed.db.cell.history import notices

ERROR = 'error'


@dataclasses.dataclass(frozen=True)
class Notification:
    """One notification.

    :ivar event_type: such as ``instance.stop.end``
    :ivar payload: as it is sent
    :ivar failed: whether it tells of a failure; then its priority is error
    """

    event_type: str
    payload: dict[str, typing.Any]
    failed: bool = False

    @property
    def key(self) -> str:
        """Return the same text each time that the same is told."""
        return self.payload['computed_object.data']['key']


def made(what: 'notices.Notice | notices.Fact') -> Notification:
    """Make a notification of anything that is told."""
    if hasattr(what, 'phase'):
        return of_instance(typing.cast('notices.Notice', what))
    return of_fact(typing.cast('notices.Fact', what))


def of_instance(notice: 'notices.Notice') -> Notification:
    """Make a notification of an act on an instance."""
    operation = notice.values['operation']
    return Notification(
        f'instance.{word(operation)}.{notice.phase}',
        payload_obj.InstanceActionPayload(
            key=notice.key, phase=notice.phase, **notice.values).to_dict(),
        notice.phase == ERROR)


def of_fact(fact: 'notices.Fact') -> Notification:
    """Make a notification of something that the action log lacks."""
    return Notification(
        fact.event_type, payload_obj.OF_FACTS[fact.event_type].of(
            key=fact.key, **fact.values).to_dict())


def word(operation: str) -> str:
    """Return the name of an operation as event types have it.

    ``reboot --hard`` is ``reboot_hard``.
    """
    return re.sub(r'[^a-z0-9]+', '_', operation.lower()).strip('_')
