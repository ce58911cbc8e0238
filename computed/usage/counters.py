"""Compute the bytes of a period from an interface's counters. Pure.

A counter grows from the start of a guest, its *epoch*, and knows no periods;
a row holds the bytes of one period and where the counters stood. Rows are
absolute: a row that is written twice, or left out once, does no harm.
"""

import dataclasses
from collections import abc

from computed.usage import increments
from computed.virt import driver


@dataclasses.dataclass(frozen=True)
class Row:
    """One period of one interface; ``in`` is into the guest.

    :ivar start_period: seconds since 1970
    :ivar bw_in: bytes of this period so far
    :ivar last_ctr_in: the counter at the last reading
    :ivar last_refreshed: the time of that reading, in microseconds since
        1970; it always rises, and shows which of two writes is later
    """

    uuid: str
    mac_address: str
    start_period: int
    bw_in: int
    bw_out: int
    last_ctr_in: int
    last_ctr_out: int
    last_epoch: str
    last_refreshed: int

    @property
    def interface(self) -> tuple[str, str]:
        """Return the instance and the MAC address."""
        return self.uuid, self.mac_address


@dataclasses.dataclass(frozen=True)
class Sample:
    """The counters of one interface at one moment.

    :ivar taken_at: microseconds since 1970
    :ivar start_period: the start of the period at that moment, in seconds
        since 1970
    :ivar previous_period: the start of the period before it
    """

    uuid: str
    mac_address: str
    ctr_in: int
    ctr_out: int
    epoch: str
    taken_at: int
    start_period: int
    previous_period: int

    @property
    def interface(self) -> tuple[str, str]:
        """Return the instance and the MAC address."""
        return self.uuid, self.mac_address


def sample(counters: driver.InterfaceCounters, taken_at: int,
           start_period: int, previous_period: int) -> Sample | None:
    """Return a driver's counters as a sample; None if one is unusable."""
    pair = increments.usable((counters.rx_bytes, counters.tx_bytes))
    if not counters.mac_address or pair is None:
        return None
    return Sample(counters.uuid, counters.mac_address.lower(), pair[0],
                  pair[1], counters.epoch, taken_at, start_period,
                  previous_period)


def account(current: Row | None, earlier: Row | None, taken: Sample,
            launched_since: bool) -> Row:
    """Return the row of the sample's period, with the sample in it.

    :param current: the :class:`Row` of that period, or None
    :param earlier: the newest row of another period, or None
    :param launched_since: used if there is no row: whether the guest was
        launched since rows were last written, so that all its bytes are new.
        Otherwise their period is unknown, and counting begins here.
    """
    last = max((row for row in (current, earlier) if row is not None),
               key=lambda row: row.last_refreshed, default=None)
    more_in, more_out = increments.since(
        None if last is None else increments.Reading(
            (last.last_ctr_in, last.last_ctr_out), last.last_epoch),
        increments.Reading((taken.ctr_in, taken.ctr_out), taken.epoch),
        from_zero=launched_since)
    return Row(
        uuid=taken.uuid, mac_address=taken.mac_address,
        start_period=taken.start_period,
        bw_in=increments.total(current.bw_in if current else 0, more_in),
        bw_out=increments.total(current.bw_out if current else 0, more_out),
        last_ctr_in=taken.ctr_in, last_ctr_out=taken.ctr_out,
        last_epoch=taken.epoch,
        # The clock may have been set back since.
        last_refreshed=max(taken.taken_at,
                           last.last_refreshed + 1 if last else 0))


def needs_rows(rows: abc.Mapping[int, Row] | None, taken: Sample) -> bool:
    """Return whether ``taken`` needs rows that only the database has.

    :param rows: ``{start_period: Row}`` known of its interface
    """
    if not rows:
        return True
    newest = max(rows.values(), key=lambda row: row.last_refreshed)
    # If the epoch is another one, the guest may have been on another host. A
    # period that is not new may have a row.
    return newest.last_epoch != taken.epoch or (
        taken.start_period not in rows and taken.start_period < max(rows))


def compacted(samples: abc.Iterable[Sample]) -> list[Sample]:
    """Drop the samples that later ones include; keep the order.

    The last sample of an epoch and a period includes the others, unless the
    counters fell in between.
    """
    kept: dict[int, Sample] = {}
    last: dict[tuple[str, str], int] = {}
    for number, taken in enumerate(samples):
        before = last.get(taken.interface)
        if before is not None:
            old = kept[before]
            if (old.epoch, old.start_period) == (
                    taken.epoch, taken.start_period) and (
                    old.ctr_in <= taken.ctr_in and
                    old.ctr_out <= taken.ctr_out):
                del kept[before]
        kept[number] = taken
        last[taken.interface] = number
    return list(kept.values())
