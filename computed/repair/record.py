"""Record the states of guests that need no repair."""

import typing

from computed import concurrency
from computed import metrics
from computed.repair import item
from computed.repair import policy as policy_module

if typing.TYPE_CHECKING:
    from computed.repair import engine


def record_all(this: 'engine.Pass',
               rows: list[policy_module.Row]) -> None:
    """Look at the guests once more, and write what differs in one call.

    Each value is written only if the facts that it rests on still hold, so a
    lagging list does no harm.
    """
    if not rows:
        return
    with concurrency.executor(
            'record', this.policy.pool_size(this.manager)) as pool:
        corrections = list(filter(None, pool.map(
            lambda row: _correction(this, row), rows)))
    if not corrections:
        return
    done = this.policy.record(this.manager, this.context, corrections)
    lost = len(corrections) - done
    this.report.recorded += done
    this.report.lost_races += lost
    metrics.drift.labels(this.policy.name, 'confirmed').inc(done)
    metrics.drift.labels(this.policy.name, 'false').inc(lost)


def _correction(this: 'engine.Pass',
                row: policy_module.Row) -> dict | None:
    """Return what to record of one row; None if it is in use or correct."""
    this.context.update_store()
    with this.manager.locks.held(row.uuid, timeout=0) as free:
        guest = item.look_at(this.manager, row.uuid) if free else None
    return this.policy.correction(row, guest) if guest else None
