"""The types of arguments of methods that peers call.

The annotations of a method are the schema of a call; see
:mod:`computed.rpc.schema`, which understands the types here. A text or a
number that a peer may choose must not be so large that a database refuses the
statement that compares it.
"""

import typing
from collections import abc

from computed import files


class Rule(typing.NamedTuple):
    """What a value must be, beyond its type.

    :ivar fits: returns whether a value of the type is accepted
    :ivar problem: what to say of another one, after its name
    """

    fits: abc.Callable[[typing.Any], bool]
    problem: str

    def __repr__(self) -> str:
        # A test compares signatures of methods, so no address of a function.
        return f'Rule({self.problem!r})'


def _is_owner(text: str) -> bool:
    service_id, _, boot_id = text.partition(':')
    return files.is_uuid(service_id) and files.is_uuid(boot_id)


def at_most(count: int) -> Rule:
    """Return a rule: a list has at most ``count`` members."""
    return Rule(lambda value: len(value) <= count,
                f'has more than {count} members')


Uuid = typing.Annotated[
    str, Rule(files.is_uuid, 'is not a uuid in lower case')]
# What a row has in place of a uuid if it is damaged. Its claim must end, too.
DamagedId = typing.Annotated[str, Rule(
    lambda value: len(value) <= 1000, 'has more than 1000 characters')]
# In hexadecimal, as :mod:`hashlib` prints it.
Sha256 = typing.Annotated[str, Rule(
    lambda value: len(value) == 64 and set(value) <= set('0123456789abcdef'),
    'is not a SHA-256 in hexadecimal')]
# Seconds; no database has a problem with the sum of them and its time.
Ttl = typing.Annotated[int, Rule(
    lambda value: 0 < value < 2 ** 31, 'is not a positive number of seconds')]
# ``service_id:boot_id``
Owner = typing.Annotated[
    str, Rule(_is_owner, 'is not two uuids with a colon between them')]
# Seconds since 1970, in a year that every database knows.
Moment = typing.Annotated[float, Rule(
    lambda value: 0 <= value < 253402300800, 'is not a time until 9999')]

Values = dict[str, typing.Any]
T = typing.TypeVar('T')


def divided(members: abc.Sequence[T], most: int) -> abc.Iterator[list[T]]:
    """Yield the members in lists of at most ``most``; nothing for none."""
    for first in range(0, len(members), most):
        yield list(members[first:first + most])


class Remembered(typing.TypedDict):
    """What a host knows of a row.

    See :meth:`computed.claims.settled.Settled.facts`. ``seconds`` is the
    highest count of the cell's clock that it has seen in this incarnation.
    """

    claim_id: str
    revision: int
    incarnation: str | None
    vm_state: str | None
    seconds: typing.NotRequired[int]


class WantedRow(typing.TypedDict):
    """A row to claim; see :func:`computed.db.cell.claims.claim.grant`."""

    kind: str
    key: str
    host: str | None
    expected: Values
    values: Values
    remembered: typing.NotRequired[Remembered | None]
    reason: typing.NotRequired[str | None]


class SettledRow(typing.TypedDict):
    """The end of a row's claim.

    See :func:`computed.db.cell.claims.claim.settle`.
    """

    kind: str
    key: str
    host: str | None
    values: Values
    revision: typing.NotRequired[int | None]
    acted: typing.NotRequired[bool]
    because: typing.NotRequired[str | None]


class PowerChange(typing.TypedDict):
    """A power state to record.

    See :func:`computed.db.cell.instance.record_power_states`.
    """

    uuid: Uuid
    vm_state: str
    old: int
    new: int


class TrafficRow(typing.TypedDict):
    """A row of traffic; see :func:`computed.db.cell.bandwidth.record`."""

    uuid: Uuid
    mac_address: str
    start_period: Moment
    bw_in: int
    bw_out: int
    last_ctr_in: int
    last_ctr_out: int
    last_epoch: str
    last_refreshed: int


class BlockRow(typing.TypedDict):
    """A row of usage; see :func:`computed.db.cell.storage.usage.record`."""

    volume_id: Uuid
    instance_uuid: Uuid
    rd_req: int
    rd_bytes: int
    wr_req: int
    wr_bytes: int
    last_rd_req: int
    last_rd_bytes: int
    last_wr_req: int
    last_wr_bytes: int
    last_epoch: str
    last_refreshed: int
    base_refreshed: int


# The numbers are below the limits of parameters of a statement: SQLite's,
# which is the lowest, is 32,766.
Wanted = typing.Annotated[list[WantedRow], at_most(100)]
Settled = typing.Annotated[list[SettledRow], at_most(100)]
# The callers divide longer lists.
POWER_CHANGES, MOMENTS = 10_000, 100
PowerChanges = typing.Annotated[list[PowerChange], at_most(POWER_CHANGES)]
Traffic = typing.Annotated[list[TrafficRow], at_most(3_000)]
BlockRows = typing.Annotated[list[BlockRow], at_most(2_000)]
Uuids = typing.Annotated[list[Uuid], at_most(10_000)]
Moments = typing.Annotated[list[Moment], at_most(MOMENTS)]
