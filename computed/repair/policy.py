"""What a task that repairs must define; the engine does the rest."""

import abc
import dataclasses
import typing
from collections.abc import Mapping
from collections.abc import Sequence

from computed import exception
from computed import periodic
from computed import states
from computed.claims import claims
from computed.claims import kinds
from computed.claims import recovery
from computed.objects import instance as instance_obj
from computed.operations import operation
from computed.operations import recover
from computed.repair import brakes
from computed.virt import driver

if typing.TYPE_CHECKING:
    from computed import manager as manager_module

Row: typing.TypeAlias = typing.Any      # an object such as Instance
Manager: typing.TypeAlias = 'manager_module.ComputeManager'

ENFORCE, OBSERVE, OFF = 'enforce', 'observe', 'off'
ABSENT = driver.InstanceInfo(uuid='', power_state=states.NOSTATE)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What to do about one row.

    :ivar record: its recorded state differs from the guest's
    :ivar repair: the kind of repair, a key of ``Policy.operations``; None:
        no repair
    :ivar proven: the driver knows how the guest ended. The brake does not
        hold such a repair: a broken hypervisor does not invent exit codes
    :ivar warning: what an operator should know, or None
    """

    record: bool = False
    repair: str | None = None
    warning: str | None = None
    proven: bool = False

    def __bool__(self) -> bool:
        return self.record or self.repair is not None


@dataclasses.dataclass(frozen=True)
class Interruption:
    """How an act of this service that takes too long is told to end.

    :ivar reason: why; it becomes the fault
    :ivar facts: what the decision rests on
    :ivar values: what is written at once; the act goes on until the driver
        returns
    """

    reason: exception.ComputedError
    facts: Mapping[str, object]
    values: Mapping[str, object]


@dataclasses.dataclass(frozen=True)
class Look:
    """The rows and the guests of a host at one moment.

    :ivar rows: objects with ``uuid`` and ``name``
    :ivar snapshot: a complete list of the guests; None if the policy does
        not look at guests
    """

    rows: Sequence[Row]
    snapshot: driver.Snapshot | None


class Policy(abc.ABC):
    """What one task repairs, and when.

    A subclass gives at least ``name``, ``operations``, :meth:`facts` and
    :meth:`judge`. It has no state of its own.

    :cvar name: the task's name in the log, the metrics, the command line
    :cvar mode_option: the option in ``[tasks]`` that says ``enforce``,
        ``observe`` or ``off``; None: always ``enforce``
    :cvar operations: what each kind of repair does
    :cvar looks_at_guests: whether :meth:`judge` needs the guest
    :cvar explained_by_reboot: a restart of the machine explains what differs
        in the first look after it; then no brake applies to that
    """

    name: str
    operations: Mapping[str, operation.Operation]
    mode_option: str | None = None
    looks_at_guests = True
    explained_by_reboot = False

    # -- what a task must define

    @abc.abstractmethod
    def facts(self, manager: Manager, row: Row) -> dict[str, object]:
        """Return what the claim on ``row`` rests on: ``{column: value}``.

        The primary refuses the claim if one of them no longer holds.
        """

    @abc.abstractmethod
    def judge(self, manager: Manager, row: Row,
              guest: driver.InstanceInfo | None) -> Verdict:
        """Compare a row with its guest. No reads, no writes.

        The engine calls it for each row of a tolerant list, to find the
        candidates, and again for the fresh row of a claim and a fresh look
        at the guest, before it acts.

        :param guest: perhaps ``ABSENT``; None without ``looks_at_guests``
        """

    # -- what it may define

    def is_left_out(self, manager: Manager, row: Row) -> bool:
        """Return whether a row is no candidate, because it is in use."""
        return bool(row.task_state or row.claim_id)

    def interruption(self, manager: Manager, row: Row) -> Interruption:
        """Return how to end the act under the claim on ``row``.

        Only a policy needs it whose candidates may be in use.
        """
        raise NotImplementedError

    def mode(self, manager: Manager) -> str:
        """Return what the operator lets this task do now."""
        return (getattr(manager.conf.tasks, self.mode_option)
                if self.mode_option else ENFORCE)

    def is_explained(self, manager: Manager, uuid: str) -> bool:
        """Return whether a restart explains how an instance differs.

        Until the first look it explains everything. Then it explains what
        that look has found, and what it could not look at, until a deadline.
        """
        return self.explained_by_reboot and (
            manager.after_reboot or
            uuid in manager.task_memory.of(self.name).explained)

    def look(self, manager: Manager, context: claims.Context,
             use_slave: bool) -> Look:
        """Read all rows and guests: one query, and one call of the driver.

        :raises computed.exception.DriverNotReady: the guests are not known
        """
        rows = instance_obj.InstanceList.get_whole_by_host(
            context, manager.host, use_slave=use_slave)
        if not self.looks_at_guests:
            return Look(rows, None)
        snapshot = manager.calls.list_instances()
        # A second line: each guest is looked at again before anything is
        # done. It saves a false warning for each guest that is not listed.
        if not snapshot.complete:
            raise exception.DriverNotReady(reason='its list is incomplete')
        return Look(rows, snapshot)

    def candidates(self, manager: Manager,
                   look: Look) -> list[tuple[Row, Verdict]]:
        """Return the rows to repair, to record or to warn of.

        Rows that an operation or a claim holds are usually left out.
        """
        found = []
        for row in look.rows:
            if self.is_left_out(manager, row):
                continue
            guest = (look.snapshot.instances.get(row.uuid, ABSENT)
                     if look.snapshot else None)
            verdict = self.judge(manager, row, guest)
            if verdict or verdict.warning:
                found.append((row, verdict))
        return found

    def wanted(self, manager: Manager, row: Row) -> list[kinds.Wanted]:
        """Return every row that a repair claims; ``row`` comes first."""
        return [kinds.Wanted(kinds.INSTANCE, row.uuid,
                             self.facts(manager, row))]

    def limit(self, manager: Manager, rows: Sequence[Row]) -> int:
        """Return how many repairs a pass, or an hour, may do."""
        return brakes.limit(manager.conf.tasks.max_repairs_per_pass,
                            len(rows))

    def pool_size(self, manager: Manager) -> int:
        """Return how many rows are repaired side by side."""
        return 5

    def correction(self, row: Row,
                   guest: driver.InstanceInfo) -> dict | None:
        """Return what to record of a guest without a repair, or None."""
        return None

    def record(self, manager: Manager, context: claims.Context,
               corrections: list[dict]) -> int:
        """Write the corrections in one call; return how many were written.

        Each is written only if the facts that it rests on still hold.
        """
        raise NotImplementedError

    def after_pass(self, manager: Manager, context: claims.Context,
                   look: Look, report: periodic.Report) -> None:
        """Do what remains after a pass that was not put off."""
        recovery.release_orphaned(manager.claims, context, look.rows)
        recover.release_left(
            manager, context, look.rows,
            look.snapshot.instances if look.snapshot else {})
