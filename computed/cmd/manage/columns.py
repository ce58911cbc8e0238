"""What a cell shows to people, and what it is to programs."""

import datetime
import json
import time

from cliff import columns

# The formatters that know neither lists nor dictionaries.
FLAT = ('value', 'csv', 'shell')


class Cell(columns.FormattableColumn):
    """A plain value, and the text that a table shows in its place."""

    def __init__(self, value, text=None):
        super().__init__(value)
        self._text = text

    def human_readable(self):
        if self._text is not None:
            return self._text
        return '-' if self._value is None else str(self._value)


def fit(row, formatter):
    """``row`` as a formatter can print it.

    :param formatter: its name; of most, cells are lines of text, where what
        has parts is JSON and not the words of Python
    """
    if formatter not in FLAT:
        return row
    return [Cell(json.dumps(cell.machine_readable()))
            if isinstance(cell, Cell) and
            isinstance(cell.machine_readable(), dict | list) else cell
            for cell in row]


def timestamp(moment):
    """A ``datetime``, or seconds since 1970, as ISO 8601 in UTC."""
    if moment is None:
        return Cell(None)
    if not isinstance(moment, datetime.datetime):
        moment = datetime.datetime.fromtimestamp(moment, datetime.UTC)
    text = moment.astimezone(datetime.UTC).isoformat(timespec='seconds')
    return Cell(text.replace('+00:00', 'Z'))


def relative(moment, now=None):
    """A moment in seconds since 1970: ``3 s ago`` or ``in 7 s``; ISO 8601
    to programs.
    """
    if moment is None:
        return Cell(None)
    away = moment - (time.time() if now is None else now)
    text = f'in {span(away)}' if away > 0 else f'{span(-away)} ago'
    return Cell(timestamp(moment).machine_readable(), text)


def span(seconds):
    """A length of time, as coarse as people name it."""
    for unit, length in (('d', 86400), ('h', 3600), ('min', 60)):
        # From two of a unit on: 90 s says more than 1 min.
        if seconds >= 2 * length:
            return f'{seconds / length:.0f} {unit}'
    return f'{seconds:.0f} s'


def seconds(value, digits=1):
    """A number of seconds; rounded to milliseconds for programs."""
    if value is None:
        return Cell(None)
    return Cell(round(value, 3), f'{value:.{digits}f} s')


def size(value):
    """A number of bytes: ``1.5 MiB``; the number itself to programs."""
    text = f'{value} B'
    for power, unit in enumerate(('KiB', 'MiB', 'GiB', 'TiB', 'PiB'), 1):
        # From two of a unit on, as with time.
        if value >= 2 * 1024 ** power:
            text = f'{value / 1024 ** power:.1f} {unit}'
    return Cell(value, text)


def counts(numbers):
    """``{name: number}`` as ``replica 2, primary 1``."""
    if numbers is None:
        return Cell(None)
    text = ', '.join(f'{name} {number}' for name, number in numbers.items())
    return Cell(dict(numbers), text or '-')


def names(values):
    """A list of names."""
    if values is None:
        return Cell(None)
    return Cell(list(values), ', '.join(values) or '-')


def origin(found):
    """Where an answer came from, and how old it can be, in one line.

    :param found: a :class:`computed.context.Origin`, or None
    """
    if found is None:
        return Cell(None)
    age = f'{found.age:.1f} s'
    if found.role == 'replica':
        age = f'at most {age} old'
    return Cell(f'{found.role} {found.node}, {age}')
