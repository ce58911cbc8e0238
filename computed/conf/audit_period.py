"""An option type for periods of accounting: hour, day, month or year, in UTC.

A period is written ``unit`` or ``unit@offset``. The offset is the minute of
the hour, the hour of the day, the day of the month or the month of the year
at which the period begins.
"""

import dataclasses
import datetime
import re

from oslo_config import types

# Seconds after its end at which all that happened in a period is recorded: no
# transaction is open for so long.
SETTLED = 60

_FORM = re.compile(r'(hour|day|month|year)(?:@([0-9]{1,4}))?')
# By unit: what the offset counts, its minimum and its maximum. 28 because
# every month has a 28th.
_OFFSETS = {'hour': ('a minute', 0, 59), 'day': ('an hour', 0, 23),
            'month': ('a day', 1, 28), 'year': ('a month', 1, 12)}


@dataclasses.dataclass(frozen=True)
class Period:
    """The length of the periods of accounting, and where each begins.

    :ivar unit: ``hour``, ``day``, ``month`` or ``year``
    :ivar offset: the minute of the hour, hour of the day, day of the month
        or month of the year at which a period begins
    """

    unit: str
    offset: int

    def last_completed(
            self, now: datetime.datetime,
    ) -> tuple[datetime.datetime, datetime.datetime]:
        """Return the begin and the end of the last period that has ended.

        A period that ends exactly at ``now`` is not completed yet.

        :param now: the present time in UTC
        :returns: ``(begin, end)``; the current period begins at ``end``
        """
        end = self._border_in_unit(now)
        if end >= now:
            end = self._border_before(end)
        return self._border_before(end), end

    def before(self, begin: datetime.datetime
               ) -> tuple[datetime.datetime, datetime.datetime]:
        """Return the period that ends where another one begins."""
        return self.last_completed(begin + datetime.timedelta(seconds=1))

    def _border_in_unit(self, now: datetime.datetime) -> datetime.datetime:
        """Return the border in the hour, day, month or year of ``now``."""
        hour = now.replace(minute=0, second=0, microsecond=0)
        if self.unit == 'hour':
            return hour.replace(minute=self.offset)
        if self.unit == 'day':
            return hour.replace(hour=self.offset)
        day = hour.replace(hour=0)
        if self.unit == 'month':
            return day.replace(day=self.offset)
        return day.replace(month=self.offset, day=1)

    def _border_before(self, border: datetime.datetime) -> datetime.datetime:
        """Return the border that precedes ``border``."""
        if self.unit == 'hour':
            return border - datetime.timedelta(hours=1)
        if self.unit == 'day':
            return border - datetime.timedelta(days=1)
        if self.unit == 'year':
            return border.replace(year=border.year - 1)
        last_month = border.replace(day=1) - datetime.timedelta(days=1)
        return last_month.replace(day=self.offset)


class AuditPeriod(types.ConfigType):
    """The type of an option whose value is a :class:`Period`."""

    def __init__(self, type_name: str = 'audit period') -> None:
        """Make the type.

        :param type_name: what the sample file and the pages call it
        """
        super().__init__(type_name=type_name)

    def __call__(self, value: str) -> Period:
        """Return the period that ``value`` stands for.

        :param value: such as ``day`` or ``month@15``; ``month`` is
            ``month@1``
        :raises ValueError: ``value`` is not a period; the text says what to
            write instead
        """
        found = _FORM.fullmatch(value)
        if found is None:
            raise ValueError(
                'write hour, day, month or year, or one of them with an '
                'offset, such as month@15')
        unit, offset = found[1], int(found[2] or 0)
        counted, first, last = _OFFSETS[unit]
        if offset > last:
            raise ValueError(f'the offset of {unit} is {counted}; write '
                             f'{unit}@{last} at most')
        return Period(unit, max(offset, first))

    def _formatter(self, value: str) -> str:
        """Return ``value``, a default, as the sample file shows it."""
        return value

    def __repr__(self) -> str:
        return 'AuditPeriod'

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self))
