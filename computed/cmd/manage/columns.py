"""Turn values into cells: text for people, plain values for programs."""

import datetime
import json
import typing
from collections import abc

from cliff import columns

from computed import clock
from computed import context
from computed.logs import printable

# The formatters that can print neither lists nor dictionaries.
FLAT = ('value', 'csv', 'shell')
# Those that escape what cannot be printed.
EXACT = ('json', 'yaml')
# What a table shows in place of a value that does not fit its field.
DAMAGED = 'damaged'


class Cell(columns.FormattableColumn[typing.Any]):
    """A plain value, and the text that a table shows in its place."""

    def __init__(self, value: typing.Any,
                 text: str | abc.Iterable[str] | None = None) -> None:
        """Make a cell.

        :param value: what programs get
        :param text: what a table shows, a line or several; None: the value
            as text
        """
        super().__init__(value)
        if text is None:
            text = '-' if value is None else str(value)
        self._lines = [text] if isinstance(text, str) else list(text)

    def human_readable(self) -> str:
        """Return the text that a table shows."""
        return '\n'.join(map(printable.escaped, self._lines))


def fit(row: abc.Sequence[typing.Any],
        formatter: str) -> abc.Sequence[typing.Any]:
    """Return ``row`` in a form that a formatter can print.

    Formatters that print lines of text get lists and dictionaries as JSON,
    texts as one printable line, and an empty text in place of None.

    :param row: the cells
    :param formatter: the name of the formatter
    """
    if formatter in EXACT:
        return row
    return [_flat(cell) if formatter in FLAT else
            printable.escaped(cell) if isinstance(cell, str) else cell
            for cell in row]


def _flat(cell: typing.Any) -> typing.Any:
    if isinstance(cell, Cell):
        return Cell(_flat(cell.machine_readable()))
    if isinstance(cell, dict | list):
        return json.dumps(cell)
    if cell is None:
        return ''
    return printable.escaped(cell) if isinstance(cell, str) else cell


def timestamp(moment: datetime.datetime | float | None) -> Cell:
    """Return a moment as ISO 8601 in UTC.

    :param moment: a datetime, or seconds since 1970
    """
    if moment is None:
        return Cell(None)
    if not isinstance(moment, datetime.datetime):
        moment = datetime.datetime.fromtimestamp(moment, datetime.UTC)
    text = moment.astimezone(datetime.UTC).isoformat(timespec='seconds')
    return Cell(text.replace('+00:00', 'Z'))


def relative(moment: float | None, now: float | None = None) -> Cell:
    """Return a moment as ``3 s ago`` or ``in 7 s``; ISO 8601 for programs.

    :param moment: seconds since 1970
    :param now: the present time in seconds since 1970; None: ask the clock
    """
    if moment is None:
        return Cell(None)
    away = moment - (clock.time() if now is None else now)
    text = f'in {span(away)}' if away > 0 else f'{span(-away)} ago'
    return Cell(timestamp(moment).machine_readable(), text)


def span(seconds: float) -> str:
    """Return a length of time in its most suitable unit, rounded."""
    for unit, length in (('d', 86400), ('h', 3600), ('min', 60)):
        # A unit counts only if there are two of it: 90 s is clearer than
        # 1 min.
        if seconds >= 2 * length:
            return f'{seconds / length:.0f} {unit}'
    return f'{seconds:.0f} s'


def seconds(value: float | None, digits: int = 1) -> Cell:
    """Return a number of seconds; rounded to milliseconds for programs."""
    if value is None:
        return Cell(None)
    return Cell(round(value, 3), f'{value:.{digits}f} s')


def size(value: int) -> Cell:
    """Return a number of bytes as ``1.5 MiB``; the number for programs."""
    text = f'{value} B'
    for power, unit in enumerate(('KiB', 'MiB', 'GiB', 'TiB', 'PiB'), 1):
        # A unit counts only if there are two of it, as with time.
        if value >= 2 * 1024 ** power:
            text = f'{value / 1024 ** power:.1f} {unit}'
    return Cell(value, text)


def counts(numbers: abc.Mapping[str, int] | None) -> Cell:
    """Return ``{name: number}`` as ``replica 2, primary 1``."""
    if numbers is None:
        return Cell(None)
    text = ', '.join(f'{name} {number}' for name, number in numbers.items())
    return Cell(dict(numbers), text or '-')


def names(values: abc.Iterable[str] | None) -> Cell:
    """Return a list of names."""
    if values is None:
        return Cell(None)
    values = list(values)
    return Cell(values, ', '.join(values) or '-')


def with_damage(shown: dict[str, typing.Any],
                damaged: abc.Iterable[str]) -> dict[str, typing.Any]:
    """Return the cells of a row, in which no damaged value is shown.

    :param shown: ``{name of the field: cell}``
    :param damaged: the fields whose values in the database do not fit them
    """
    return {**shown, **{name: Cell(None, DAMAGED) for name in damaged
                        if name in shown}}


def origin(found: context.Origin | None) -> Cell:
    """Return which node gave an answer, and how old the answer can be."""
    if found is None:
        return Cell(None)
    age = f'{found.age:.1f} s'
    if found.role == 'replica':
        age = f'at most {age} old'
    return Cell(f'{found.role} {found.node}, {age}')
