"""Text for terminals and log files, free of what drives or deceives them.

Every text passes :mod:`computed.logs.printable` on its way out, except JSON,
which has its own escapes.
"""

import logging
import re
import typing
from collections import abc

from oslo_config import cfg
from oslo_log import formatters

from computed.logs import printable

# How the option log_color writes colours.
_COLOUR = re.compile(r'(\x1b\[[0-9;]*m)')


def printable_lines(text: str) -> str:
    """Return the output of a guest, with its lines and tabs."""
    return '\n'.join(printable.escaped(line.removesuffix('\r'), '\t')
                     for line in text.split('\n'))


def one_record(text: str, record: logging.LogRecord) -> str:
    """Return a formatted record as one line, and one for each of its frames.

    :param text: what a formatter made of ``record``
    """
    line, more = text, ''
    for body in (record.exc_text, record.stack_info):
        head, found, tail = line.rpartition(f'\n{body}') if body else ('',) * 3
        if found:
            line, more = head, found + tail + more
    return printable.escaped(line) + '\n'.join(
        map(printable.escaped, more.split('\n')))


class Formatter(logging.Formatter):
    """Make the text of another formatter printable."""

    def __init__(self, inner: logging.Formatter, colours: bool) -> None:
        """:param colours: the other formatter writes colours; keep them"""
        super().__init__()
        self._inner = inner
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of ``record``."""
        text = self._inner.format(record)
        if not self._colours:
            return one_record(text, record)
        return ''.join(
            part if _COLOUR.fullmatch(part) else one_record(part, record)
            for part in _COLOUR.split(text))


def clean_logs(conf: cfg.ConfigOpts) -> None:
    """Let every handler of logs write printable text only.

    Call it again after a reload, which may have made new handlers.
    """
    for handler in _handlers():
        inner = handler.formatter or logging.Formatter()
        if not isinstance(inner, (Formatter, formatters.JSONFormatter,
                                  formatters.FluentFormatter)):
            handler.setFormatter(Formatter(inner, conf.log_color))


def _handlers() -> abc.Iterator[logging.Handler]:
    loggers: list[typing.Any] = [
        logging.getLogger(), *logging.root.manager.loggerDict.values()]
    for logger in loggers:
        yield from getattr(logger, 'handlers', ())
