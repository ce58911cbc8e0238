"""Periods of accounting: an hour, a day, a month or a year, in UTC. Pure.

Written ``unit`` or ``unit@offset``; the offset says where in the hour, day,
month or year the border between two periods is.
"""

import dataclasses
import datetime
import re

_FORM = re.compile(r'(hour|day|month|year)(?:@([0-9]{1,4}))?')
# What an offset counts, from where to where, by unit. Every month has 28.
_OFFSETS = {'hour': ('a minute', 0, 59), 'day': ('an hour', 0, 23),
            'month': ('a day', 1, 28), 'year': ('a month', 1, 12)}


@dataclasses.dataclass(frozen=True)
class Period:
    """Which moments are borders.

    :ivar offset: the minute of the hour, hour of the day, day of the month
        or month of the year at which a period begins
    """

    unit: str
    offset: int

    def last_completed(self, now):
        """The period that ended last.

        At the very moment of a border it is the one before: the period that
        ends there is not over yet.

        :param now: a datetime in UTC
        :returns: its begin and its end; the end begins the current period
        """
        end = self._within(now)
        if end >= now:
            end = self._before(end)
        return self._before(end), end

    def _within(self, now):
        """The border in the same hour, day, month or year as ``now``."""
        hour = now.replace(minute=0, second=0, microsecond=0)
        if self.unit == 'hour':
            return hour.replace(minute=self.offset)
        if self.unit == 'day':
            return hour.replace(hour=self.offset)
        day = hour.replace(hour=0)
        if self.unit == 'month':
            return day.replace(day=self.offset)
        return day.replace(month=self.offset, day=1)

    def _before(self, border):
        """The border before ``border``."""
        if self.unit == 'hour':
            return border - datetime.timedelta(hours=1)
        if self.unit == 'day':
            return border - datetime.timedelta(days=1)
        if self.unit == 'year':
            return border.replace(year=border.year - 1)
        last_month = border.replace(day=1) - datetime.timedelta(days=1)
        return last_month.replace(day=self.offset)


def parse(text):
    """The :class:`Period` that ``text`` means; ``month`` is ``month@1``.

    :raises ValueError: it means none; the message says why
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError('neither hour, day, month nor year, with or without '
                         '@ and a number')
    unit, offset = found[1], int(found[2] or 0)
    counted, first, last = _OFFSETS[unit]
    if offset > last:
        raise ValueError(f'the offset of {unit} is {counted}, at most {last}')
    return Period(unit, max(offset, first))
