"""``instance volume-usage``: what an instance has read and written."""

import typing

from computed.cmd.manage import columns
from computed.cmd.manage import usage
from computed.objects import volume_usage as usage_obj

COLUMNS = ('volume_id', 'rd_req', 'rd_bytes', 'wr_req', 'wr_bytes',
           'last_refreshed')


def describe(row: usage_obj.VolumeUsage,
             now: float | None = None) -> dict[str, typing.Any]:
    """Return what the list shows of one row, by name of the column.

    :param now: seconds since 1970; None: ask the clock
    """
    return columns.with_damage({
        'volume_id': row.volume_id,
        'rd_req': row.rd_req, 'rd_bytes': columns.size(row.rd_bytes or 0),
        'wr_req': row.wr_req, 'wr_bytes': columns.size(row.wr_bytes or 0),
        'last_refreshed': columns.relative(
            (row.last_refreshed or 0) / 1_000_000, now),
    }, row.damaged_fields())


class Usage(usage.Recorded):
    """List what an instance has read and written of each volume, ever.

    Volumes that were detached or forgotten are listed too. Formats for
    programs print bytes.
    """

    COLUMNS = COLUMNS

    def described(self, uuid: str, limit: int, use_slave: bool
                  ) -> list[dict[str, typing.Any]]:
        return [describe(one) for one in
                usage_obj.VolumeUsageList.get_recorded(
                    self.context, uuid, limit, use_slave=use_slave)]
