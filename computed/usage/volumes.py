"""Make rows of usage from the counters of this host's volumes.

A row rests on the one that was read, and replaces only that one. So if another
reading was written in between, or a replica has shown an old row, nothing is
written, and the next reading counts the same again from what is there then.
Only last readings that could not be written are remembered: nobody can read
these counters again.
"""

import contextlib
import dataclasses
import typing
from collections import abc

from oslo_log import log as logging

from computed import clock as system_clock
from computed import concurrency
from computed import context as computed_context
from computed import exception
from computed import metrics
from computed.objects import arguments
from computed.objects import volume_usage as usage_obj
from computed.usage import increments
from computed.virt import driver

if typing.TYPE_CHECKING:
    from computed import manager as manager_module
    from computed.virt import claim as virt_claim

LOG = logging.getLogger(__name__)

Context = computed_context.RequestContext
Counters = abc.Mapping[tuple[str, str], driver.BlockCounters]

CAPABILITY = 'block_counters'
NAMES = ('rd_req', 'rd_bytes', 'wr_req', 'wr_bytes')
# How many guests are asked at the same time.
POOL = 4
# The number of rows in one call.
CHUNK = 1000
# The most guests whose last readings are remembered.
REMEMBERED = 100
# How often a last reading is repeated, if others are written in between.
TRIES = 3


class Left(typing.NamedTuple):
    """The last reading of a guest, which could not be written.

    :ivar taken_at: seconds since 1970
    """

    uuid: str
    taken_at: float
    counters: Counters


@dataclasses.dataclass
class Polled:
    """What became of a pass.

    :ivar recorded: how many rows were sent
    :ivar refused: how many volumes had unusable counters
    :ivar silent: how many guests did not answer
    """

    recorded: int = 0
    refused: int = 0
    silent: int = 0


def account(seen: usage_obj.VolumeUsage, counters: driver.BlockCounters,
            taken_at: int) -> arguments.BlockRow | None:
    """Return the row after a reading; None if that is unusable. Pure.

    The counters began at zero with the attachment. So what was never recorded
    is all new.

    :param seen: what is recorded
    :param taken_at: the time of the reading, in microseconds since 1970
    """
    values = increments.usable(getattr(counters, name) for name in NAMES)
    if values is None:
        return None
    last = None if seen.last_epoch is None else increments.Reading(
        tuple(getattr(seen, f'last_{name}') for name in NAMES),
        seen.last_epoch)
    more = increments.since(
        last, increments.Reading(values, counters.epoch), from_zero=True)
    base = seen.last_refreshed or 0
    return typing.cast(arguments.BlockRow, {
        'volume_id': seen.volume_id, 'instance_uuid': seen.instance_uuid,
        **{name: increments.total(getattr(seen, name) or 0, one)
           for name, one in zip(NAMES, more, strict=True)},
        **{f'last_{name}': one
           for name, one in zip(NAMES, values, strict=True)},
        'last_epoch': counters.epoch, 'base_refreshed': base,
        # The clock may have been set back since.
        'last_refreshed': max(taken_at, base + 1)})


class VolumeMeter:
    """Reads the counters of volumes, and writes usage. Any thread may call it.
    """

    def __init__(self, manager: 'manager_module.ComputeManager',
                 clock: abc.Callable[[], float]) -> None:
        """:param clock: returns the time of the database, in seconds since
            1970
        """
        self._manager = manager
        self._clock = clock
        # The last readings that are not written yet.
        self._left: list[Left] = []

    @property
    def able(self) -> bool:
        """Return whether the driver has counters to read."""
        return CAPABILITY in self._manager.driver.capabilities

    def poll(self, context: Context, seconds: float) -> Polled:
        """Read the counters of all volumes, and write the usage.

        The list may be old: what it lacks is counted later, and for a volume
        that is detached the driver has no counters (R1-light: each row that
        is written names the one that it rests on).

        :param seconds: after this time no further guest is asked
        """
        self._catch_up(context.tolerating_lag(False))
        listed = list(usage_obj.VolumeUsageList.get_by_host(
            context, self._manager.host, use_slave=True))
        found = Polled()
        guests = sorted({row.instance_uuid for row in listed})
        counters = self._look(guests, seconds, found)
        rows = self._rows(listed, counters, found, self._clock())
        for part in arguments.divided(rows, CHUNK):
            usage_obj.VolumeUsageList.record(context, part)
        found.recorded = len(rows)
        return found

    def _look(self, guests: abc.Sequence[str], seconds: float,
              found: Polled) -> Counters:
        """Ask the driver for each guest, a few at the same time."""
        if not guests:
            return {}
        ends_at = system_clock.monotonic() + seconds

        def ask(uuid: str) -> list[driver.BlockCounters] | None:
            if system_clock.monotonic() >= ends_at:
                return None
            try:
                return self._manager.calls.block_counters(uuid)
            except exception.DriverError as error:
                LOG.info('The volumes of instance %(uuid)s are not counted '
                         'in this pass: %(error)s',
                         {'uuid': uuid, 'error': error})
                return None
        pool = concurrency.executor('volume-usage', POOL)
        try:
            asked = [pool.submit(ask, uuid) for uuid in guests]
            answers = [future.result() for future in asked]
        finally:
            pool.shutdown(wait=False)
        found.silent = answers.count(None)
        return _by_key(one for answer in answers for one in answer or ())

    def _rows(self, listed: abc.Iterable[usage_obj.VolumeUsage],
              counters: Counters, found: Polled,
              taken_at: float) -> list[arguments.BlockRow]:
        now, rows = int(taken_at * 1_000_000), []
        for seen in listed:
            one = counters.get((seen.instance_uuid, seen.volume_id))
            if one is None or seen.damaged_fields():
                continue
            row = account(seen, one, now)
            if row is None:
                found.refused += 1
                metrics.volumes_skipped.inc()
            else:
                rows.append(row)
        return rows

    def last_look(self, claim: 'virt_claim.Claim') -> None:
        """Count the last bytes of the volumes of a guest that is ended.

        An error does not keep the guest from being ended.
        """
        if not self.able:
            return
        strict = claim.instance.obj_context.tolerating_lag(False)
        self._catch_up(strict)
        try:
            counters = self._manager.calls.block_counters(claim.uuid)
        except Exception as error:      # a driver may raise anything
            LOG.warning('What instance %(uuid)s has used of its volumes '
                        'since the last reading is not counted: %(error)s',
                        {'uuid': claim.uuid, 'error': error})
            return
        if not counters:
            return
        taken_at = self._clock()
        try:
            self._look_once_more(strict, claim.uuid)
        except Exception as error:
            LOG.warning('What instance %(uuid)s has used of its volumes '
                        'since the last reading is not recorded yet: '
                        '%(error)s', {'uuid': claim.uuid, 'error': error})
            if len(self._left) < REMEMBERED:
                self._left.append(Left(
                    claim.uuid, taken_at, _by_key(counters)))

    def _catch_up(self, context: Context) -> None:
        """Write last readings that could not be written before.

        A row that was written since the reading has all of it, or begins a
        new life of the counters. Then the reading is dropped: beside that row
        it would look like a reset.
        """
        for left in list(self._left):
            # What cannot be written now waits, and is in nobody's way.
            with contextlib.suppress(exception.ComputedError, ValueError):
                self._write_left(context, *left)
                self._left.remove(left)     # another thread may have

    def _write_left(self, context: Context, uuid: str, taken_at: float,
                    counters: Counters) -> None:
        listed = {row.volume_id: row for row in (
            *usage_obj.VolumeUsageList.get_by_instance(
                context, uuid, use_slave=False),
            *usage_obj.VolumeUsageList.get_recorded(
                context, uuid, CHUNK, use_slave=False))}
        for _, volume_id in counters:
            listed.setdefault(volume_id, usage_obj.VolumeUsage.blank(
                volume_id, uuid))
        rows = self._rows((
            row for row in listed.values()
            if (row.last_refreshed or 0) < taken_at * 1_000_000),
            counters, Polled(), taken_at)
        if rows:
            usage_obj.VolumeUsageList.record(context, rows)

    def _look_once_more(self, context: Context, uuid: str) -> None:
        """Read and write until what was written is there."""
        for _ in range(TRIES):
            listed = usage_obj.VolumeUsageList.get_by_instance(
                context, uuid, use_slave=False)
            rows = self._rows(listed, _by_key(
                self._manager.calls.block_counters(uuid)), Polled(),
                self._clock())
            if not rows:
                return
            usage_obj.VolumeUsageList.record(context, rows)
            written = {
                row.volume_id: row.last_refreshed for row
                in usage_obj.VolumeUsageList.get_by_instance(
                    context, uuid, use_slave=False)}
            if all(written.get(row['volume_id']) == row['last_refreshed']
                   for row in rows):
                return
        raise exception.DriverError(
            reason='another reading was written each time')


def _by_key(found: abc.Iterable[driver.BlockCounters]) -> Counters:
    return {(one.uuid, one.volume_id): one for one in found}
