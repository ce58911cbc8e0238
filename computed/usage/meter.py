"""Make rows of usage from the counters of this host's interfaces.

Only this host writes the rows of its instances. So it need not read again
what it wrote last, and the lag of a replica cannot matter. It goes on counting
in memory while the database does not answer.
"""

import collections
import contextlib
import dataclasses
import datetime
import itertools
import threading
import typing
from collections import abc

from oslo_log import log as logging

from computed import context as computed_context
from computed import metrics
from computed.objects import arguments
from computed.objects import bandwidth as bandwidth_obj
from computed.usage import counters as usage_counters

if typing.TYPE_CHECKING:
    from computed import manager as manager_module
    from computed.virt import claim as virt_claim

LOG = logging.getLogger(__name__)

Context = computed_context.RequestContext
Interface: typing.TypeAlias = tuple[str, str]

CAPABILITY = 'interface_counters'
# The number of rows, or uuids, in one call.
CHUNK = 1000
# Seconds that an operation waits for a pass that does the same work.
WAIT = 5


class Meter:
    """Reads counters, and writes usage. Any thread may call it."""

    def __init__(self, manager: 'manager_module.ComputeManager',
                 clock: abc.Callable[[], float]) -> None:
        """:param clock: returns the time of the database, in seconds since
            1970
        """
        self._manager = manager
        self._clock = clock
        # Samples stay in the order in which they were taken: an old one
        # that came late would look like a reset.
        self._looking = threading.Lock()
        self._samples: collections.deque[usage_counters.Sample] = (
            collections.deque())
        # Guards the attributes below.
        self._writing = threading.Lock()
        # {interface: {start_period: Row}}
        self._known: dict[Interface, dict[int, usage_counters.Row]] = {}
        # {(interface, start_period): Row}
        self._unwritten: dict[
            tuple[Interface, int], usage_counters.Row] = {}

    @property
    def able(self) -> bool:
        """Return whether the driver has counters to read."""
        return CAPABILITY in self._manager.driver.capabilities

    def look(self, uuids: abc.Sequence[str], timeout: float = -1) -> int:
        """Read the counters of these guests from the driver.

        :param timeout: seconds to wait for another look; -1: no limit
        :returns: how many interfaces had unusable counters
        :raises computed.exception.DriverError: as the driver raises it
        """
        if not self._looking.acquire(timeout=timeout):
            LOG.warning('Another thread has read counters for too long; the '
                        'last bytes of %s are not counted.',
                        ', '.join(uuids))
            return 0
        try:
            return self._look(uuids)
        finally:
            self._looking.release()

    def _look(self, uuids: abc.Sequence[str]) -> int:
        found = self._manager.calls.interface_counters(uuids)
        now = self._clock()
        period = self._manager.conf.tasks.instance_usage_audit_period
        previous, start = (
            int(border.timestamp()) for border in period.last_completed(
                datetime.datetime.fromtimestamp(now, datetime.UTC)))
        samples = [usage_counters.sample(counters, int(now * 1_000_000), start,
                                    previous)
                   for counters in found]
        good = [sample for sample in samples if sample is not None]
        self._samples.extend(good)
        metrics.bandwidth_skipped.inc(len(samples) - len(good))
        return len(samples) - len(good)

    def write(self, context: Context, timeout: float = -1,
              present: frozenset[str] | None = None) -> int:
        """Account all samples taken, and write the rows.

        What cannot be read or written now is kept for the next time.

        :param timeout: seconds to wait for another writer; -1: no limit
        :param present: the uuids of all guests of this host; the rows of
            other guests are forgotten
        :returns: how many rows were written
        """
        if not self._writing.acquire(timeout=timeout):
            return 0
        try:
            if present is not None:
                waiting = {interface for interface, _ in self._unwritten}
                self._known = {
                    interface: rows for interface, rows
                    in self._known.items()
                    if interface[0] in present or interface in waiting}
            self._account(context)
            return self._send(context)
        finally:
            self._writing.release()

    def _account(self, context: Context) -> None:
        samples = [self._samples.popleft()
                   for _ in range(len(self._samples))]
        try:
            launched = self._read_rows(context, samples)
        except BaseException:
            self._samples.extendleft(reversed(usage_counters.compacted(samples)))
            raise
        for sample in samples:
            rows = self._known.get(sample.interface, {})
            if not rows and sample.uuid not in launched:
                continue    # a guest without an instance
            current = rows.get(sample.start_period)
            earlier = max((row for row in rows.values()
                           if row is not current), default=None,
                          key=lambda row: row.last_refreshed)
            self._keep(usage_counters.account(
                current, earlier, sample,
                _since(launched.get(sample.uuid), sample.previous_period)))

    def _read_rows(self, context: Context,
                   samples: abc.Sequence[usage_counters.Sample],
                   ) -> dict[str, float | None]:
        """Read the rows that are needed and not known, on the primary.

        :returns: ``{uuid: seconds since 1970}``: when each instance that has
            no row was launched
        """
        asked = [sample for sample in samples if usage_counters.needs_rows(
            self._known.get(sample.interface), sample)]
        uuids = sorted({sample.uuid for sample in asked})
        starts = sorted({start for sample in asked for start in (
            sample.start_period, sample.previous_period)})
        launched: dict[str, float | None] = {}
        # There are more periods than two if the database was long away.
        for some, moments in itertools.product(
                arguments.divided(uuids, CHUNK),
                arguments.divided(starts, arguments.MOMENTS)):
            found = bandwidth_obj.BandwidthUsageList.get_by_uuids(
                context, some, moments, use_slave=False)
            launched.update(found.launched)
            for usage in found:
                if usage.damaged_fields():
                    continue    # the next write mends it
                row = as_row(usage)
                rows = self._known.setdefault(row.interface, {})
                mine = rows.get(row.start_period)
                if mine is None or mine.last_refreshed < row.last_refreshed:
                    rows[row.start_period] = row
        return launched

    def _keep(self, row: usage_counters.Row) -> None:
        rows = self._known.setdefault(row.interface, {})
        rows[row.start_period] = row
        for old in sorted(rows.values(),
                          key=lambda one: one.last_refreshed)[:-2]:
            del rows[old.start_period]
        self._unwritten[row.interface, row.start_period] = row

    def _send(self, context: Context) -> int:
        rows = list(self._unwritten.values())
        for part in arguments.divided(rows, CHUNK):
            bandwidth_obj.BandwidthUsageList.record(
                context, [typing.cast(arguments.TrafficRow,
                                      dataclasses.asdict(row))
                          for row in part])
            for row in part:
                del self._unwritten[row.interface, row.start_period]
        return len(rows)


def as_row(usage: typing.Any) -> usage_counters.Row:
    """Return a BandwidthUsage as a row."""
    names = (field.name for field in dataclasses.fields(usage_counters.Row))
    values = {name: getattr(usage, name) for name in names}
    values['start_period'] = int(usage.start_period.timestamp())
    return usage_counters.Row(**values)


def _since(launched: float | None, previous_period: int) -> bool:
    """Return whether a guest without rows has only uncounted bytes.

    A reading after its launch would have left a row in this period or the
    one before, unless the launch is older than both.

    :param launched: seconds since 1970; None: it is still being built
    """
    return launched is None or launched >= previous_period


@contextlib.contextmanager
def last_look(manager: 'manager_module.ComputeManager',
              claim: 'virt_claim.Claim') -> abc.Iterator[None]:
    """Count the last bytes of a guest that the body ends.

    The counters are read before the body and written after it. An error of
    either does not keep the guest from being ended.
    """
    if claim.instance is None:
        yield       # nobody pays for it
        return
    manager.volume_meter.last_look(claim)
    if not manager.meter.able:
        yield
        return
    with _harmless(claim):
        manager.meter.look([claim.uuid], timeout=WAIT)
    try:
        yield
    finally:
        with _harmless(claim):
            manager.meter.write(claim.instance.obj_context, timeout=WAIT)


@contextlib.contextmanager
def _harmless(claim: 'virt_claim.Claim') -> abc.Iterator[None]:
    try:
        yield
    except Exception as error:      # a driver may raise anything
        LOG.warning('The last bytes of instance %(instance)s are not counted '
                    'or not recorded yet: %(error)s',
                    {'instance': claim.label, 'error': error})
