"""Run the pass of a task that repairs.

A replica tells which rows look wrong, and the primary tells which are wrong.
The pass applies the brake, looks a second time, repairs in a pool, records,
and reports.
"""

import dataclasses

from oslo_log import log as logging

from computed import clock
from computed import concurrency
from computed import context as context_module
from computed import exception
from computed import metrics
from computed import periodic
from computed import states
from computed.claims import claims
from computed.objects import event as event_obj
from computed.repair import item
from computed.repair import memory
from computed.repair import policy as policy_module
from computed.repair import record

LOG = logging.getLogger(__name__)

Row = policy_module.Row
Found = list[tuple[Row, policy_module.Verdict]]


def run(manager: policy_module.Manager, context: claims.Context,
        policy: policy_module.Policy) -> periodic.Report:
    """Run one pass of the task that ``policy`` describes."""
    if policy.mode(manager) == policy_module.OFF:
        return periodic.Report(note='mode is off')
    this = Pass(manager, context, policy)
    try:
        look, found, allowed = this.look()
    except exception.DriverHangs:
        raise       # it needs a person: the run fails
    except exception.DriverNotReady as error:
        return periodic.Report(note=str(error))
    this.report.candidates = sum(1 for _, verdict in found if verdict)
    this.warn(found)
    left = this.brake(this.braked(found), allowed)
    try:
        left = left + this.repair_all(
            [(row, None if this.is_explained(row) else allowed)
             for row, verdict in found
             if verdict.repair and row not in left])
        record.record_all(this, [
            row for row, verdict in found if verdict.record and
            (not verdict.repair or row in left)])
    except claims.UNANSWERED as error:
        return this.put_off(str(error))
    policy.after_pass(manager, context, look, this.report)
    return this.report


def check(manager: policy_module.Manager, context: claims.Context,
          policy: policy_module.Policy, row: Row) -> None:
    """Judge one row now, and repair or record it.

    :param row: just read from the primary
    """
    this = Pass(manager, context, policy)
    if row.task_state or row.claim_id or (
            this.is_first_in(row.origin) or
            manager.claims.settled.forbids(row)):
        return
    guest = item.look_at(manager, row.uuid)
    if guest is None:
        return
    verdict = policy.judge(manager, row, guest)
    outcome = None
    allowed = (None if this.is_explained(row)
               else policy.limit(manager, ()))
    if allowed is not None and not verdict.proven and (
            not this.memory.hourly.room(allowed)):
        outcome = item.REFUSED      # without a claim, which costs writes
    elif verdict.repair and policy.mode(manager) == policy_module.ENFORCE:
        try:
            outcome = item.repair(manager, context, policy, row, allowed)
        except exception.Frozen as error:
            outcome = item.REFUSED
            LOG.warning('%s', error)
    if verdict.record and outcome in (None, item.REFUSED):
        record.record_all(this, [row])


def doubtful(found: Found) -> list[Row]:
    """Return the rows whose repair rests on the hypervisor's report only."""
    return [row for row, verdict in found
            if verdict.repair and not verdict.proven]


@dataclasses.dataclass
class Pass:
    """One pass of one task.

    :ivar observing: whether this is the first pass after the database may
        have gone back in time. It repairs nothing.
    """

    manager: policy_module.Manager
    context: claims.Context
    policy: policy_module.Policy
    report: periodic.Report = dataclasses.field(
        default_factory=periodic.Report)
    observing: bool = False

    def is_explained(self, row: Row) -> bool:
        """Return whether a restart of the machine explains a difference."""
        return self.policy.is_explained(self.manager, row.uuid)

    def braked(self, found: Found) -> list[Row]:
        """Return the rows that the brake counts."""
        return [row for row in doubtful(found) if not self.is_explained(row)]

    def look(self) -> tuple[policy_module.Look, Found, int]:
        """Look at rows and guests, and again if too much looks wrong.

        Many differences at once more likely mean a broken hypervisor or a
        wrong list. The second look reads the primary and every guest.

        It also looks again if a row lacks what this host has written, or if
        the database has another incarnation than in the last pass.

        :returns: what was seen, the rows to act on, and how many repairs are
            allowed
        :raises computed.exception.DriverNotReady: the guests are not known
        """
        # What a restart of the machine explains rests on strict lists, too.
        began, settled = clock.monotonic(), self.manager.claims.settled
        explains = self.policy.explained_by_reboot and bool(
            self.manager.after_reboot or self.memory.explained)
        look, found, allowed = self._look_once(use_slave=not explains)
        origin = getattr(look.rows, 'origin', None)
        self.observing = self.is_first_in(origin)
        if self.observing or settled.regressed(
                look.rows, began - (origin.age if origin else 0)) or (
                    len(self.braked(found)) >
                    self.memory.hourly.room(allowed)):
            look, found, allowed = self._look_once(use_slave=False)
        if explains:
            self.explain(look, found)
        if self.policy.explained_by_reboot:
            self.manager.reboot_is_over()
        if self.observing:
            LOG.warning('Another server is the primary database now, or the '
                        'database was restored. This pass of %s only '
                        'observes.', self.policy.name)
        if origin is not None and origin.incarnation is not None:
            self.memory.incarnation = origin.incarnation
        return look, found, allowed

    def explain(self, look: policy_module.Look, found: Found) -> None:
        """Note what the restart explains still; it begins with a whole look.

        It ends with the first look for all that does not differ.
        """
        guests = look.snapshot.instances if look.snapshot else {}
        still = {row.uuid for row, verdict in found if verdict.repair} | {
            # It is in use, or its guest cannot be looked at.
            row.uuid for row in look.rows if row.task_state or row.claim_id or
            guests.get(row.uuid, policy_module.ABSENT).power_state ==
            states.NOSTATE}
        if self.manager.after_reboot:
            self.memory.explain(still)
        else:
            self.memory.explain_only(still)

    def is_first_in(self, origin: context_module.Origin | None) -> bool:
        """Return whether the database has another incarnation than before.

        :param origin: of what was just read
        """
        return origin is not None and None not in (
            origin.incarnation, self.memory.incarnation) and (
                origin.incarnation != self.memory.incarnation)

    def _look_once(self, use_slave: bool) -> tuple[
            policy_module.Look, Found, int]:
        began, settled = clock.monotonic(), self.manager.claims.settled
        look = self.policy.look(self.manager, self.context, use_slave)
        if not use_slave:
            settled.review(look.rows, began)
        found = [(row, verdict) for row, verdict
                 in self.policy.candidates(self.manager, look)
                 if not settled.forbids(row)]
        return look, found, self.policy.limit(self.manager, look.rows)

    @property
    def memory(self) -> memory.TaskMemory:
        """Return what the task remembers of earlier passes."""
        return self.manager.task_memory.of(self.policy.name)

    def warn(self, found: Found) -> None:
        """Warn of each row once, and again only when the text changes."""
        before, warnings = self.memory.warned, {}
        for row, verdict in found:
            if verdict.warning:
                warnings[row.uuid] = verdict.warning
                if before.get(row.uuid) != verdict.warning:
                    LOG.warning('Instance %(instance)s %(warning)s',
                                {'instance': row.label,
                                 'warning': verdict.warning})
        self.memory.warned = warnings

    def brake(self, rows: list[Row], allowed: int) -> list[Row]:
        """Return those of ``rows`` that may not be repaired; log it once.

        The limit does not apply to repairs that an operator accepted.
        """
        count, task = len(rows), self.policy.name
        if count <= max(
                self.memory.hourly.room(allowed),
                self.context.accept_repairs or 0):
            self.memory.braked = None
            metrics.brake_held.labels(task).set(0)
            return []
        metrics.brake_held.labels(task).set(count)
        self.report.refused += count
        self.report.note = (f'{count} repairs are more than the brake allows '
                            f'({allowed} an hour)')
        names = ', '.join(row.name for row in rows[:10])
        if self.memory.braked != names:
            command = self.manager.command_line(
                f'task run {task} --host {self.manager.host} '
                f'--accept {count}')
            LOG.error('%(note)s, so none is done: %(names)s. Look at '
                      'hypervisor and database; if they are right: '
                      '`%(command)s`.', {'note': self.report.note,
                                         'names': names, 'command': command})
            self._note_brake(names)
        self.memory.braked = names
        return rows

    def _note_brake(self, names: str) -> None:
        try:
            event_obj.EventList.note_brake(
                self.context.tolerating_lag(False), self.manager.host,
                self.policy.name, f'{self.report.note}: {names}')
        except claims.UNANSWERED as error:
            LOG.info('The action log lacks this brake: %s', error)

    def repair_all(self, wanted: list[tuple[Row, int | None]]) -> list[Row]:
        """Repair rows side by side.

        :param wanted: ``[(row, repairs allowed an hour or None)]``
        :returns: the rows that were left as they are
        :raises computed.exception.ComputedError: one of
            ``claims.UNANSWERED``; what was done before it is counted
        """
        rows = [row for row, _ in wanted]
        if not wanted:
            return []
        if self.observing or (
                self.policy.mode(self.manager) == policy_module.OBSERVE):
            self.report.refused += len(rows)
            self.report.note = f'would have repaired {len(rows)}'
            LOG.info('Observing only: would have repaired %s.',
                     ', '.join(row.name for row in rows))
            return rows
        if self.context.accept_repairs:
            wanted = [(row, None) for row in rows]
        stopped = item.Stopped()
        with concurrency.executor(
                'repair', self.policy.pool_size(self.manager)) as pool:
            outcomes = list(pool.map(
                lambda one: item.repair_safely(
                    self.manager, self.context, self.policy, stopped, *one),
                wanted))
        for outcome in outcomes:
            setattr(self.report, outcome, getattr(self.report, outcome) + 1)
        if isinstance(stopped.reason, exception.Frozen):
            self.report.note = str(stopped.reason)
            LOG.warning('%s', self.report.note)
        elif stopped.reason:
            raise stopped.reason
        return [row for row, outcome in zip(rows, outcomes, strict=True)
                if outcome == item.REFUSED]

    def put_off(self, reason: str) -> periodic.Report:
        """End the pass, because no claim can be granted now.

        The next pass begins again. That the primary is away is the warning of
        the heartbeat.
        """
        report = self.report
        report.refused = (report.candidates - report.acted - report.failed -
                          report.lost_races - report.recorded)
        report.note = f'{report.refused} candidates are put off: {reason}'
        self.memory.lines.info('%s', report.note)
        return report
