"""The log of a service: free of what deceives, and never in the way.

The thread that logs makes the text; a thread for each handler writes it.
"""

import copy
import logging
import sys
import typing
from collections import abc

from oslo_config import cfg

from computed import metrics
from computed.logs import printable
from computed.service import terminal
from computed.service.output import outlet


def prepare(conf: cfg.ConfigOpts) -> None:
    """Let every handler write printable text, and hold up nobody.

    Call it again after a reload, which may have made new handlers.
    """
    terminal.clean_logs(conf)
    for logger in _loggers():
        for handler in list(logger.handlers):
            if not isinstance(handler, Background | logging.NullHandler):
                logger.removeHandler(handler)
                logger.addHandler(Background(handler))


def _loggers() -> abc.Iterator[logging.Logger]:
    yield logging.getLogger()
    for found in list(logging.root.manager.loggerDict.values()):
        if isinstance(found, logging.Logger):
            yield found


class _Ready(logging.Formatter):
    """Gives the text that was made when the record was logged."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        ready: str | None = getattr(record, 'ready_text', None)
        return self._inner.format(record) if ready is None else ready

    def formatException(    # noqa: N802  the name is the library's
            self, ei: typing.Any) -> str:
        return self._inner.formatException(ei)


class Background(logging.Handler):
    """Lets another handler write in a thread of its own."""

    def __init__(self, inner: logging.Handler) -> None:
        """:param inner: the other handler; nobody else uses it any more"""
        super().__init__(inner.level)
        self._inner = inner
        inner.setFormatter(_Ready(inner.formatter or logging.Formatter()))
        stream = getattr(inner, 'stream', None)
        # A file of its own may be opened again under the same name.
        self._outlet = (outlet.of(stream) if stream in (
            sys.stdout, sys.stderr) else outlet.Outlet('write log'))
        self._outlet.say_dropped = self._say_dropped

    def emit(self, record: logging.LogRecord) -> None:
        """Make the text of ``record`` and let it be written."""
        if not self._inner.filter(record):
            return
        ready = copy.copy(record)
        try:
            ready.ready_text = self._inner.format(ready)
        except Exception:   # a message and its arguments do not fit
            ready.ready_text = printable.escaped(
                f'{record.levelname} {record.name} {record.msg!r} '
                f'{record.args!r}')
        # The frames that it leads to would live as long as it waits.
        if ready.exc_info and not ready.exc_text:
            ready.exc_text = self._inner.formatter.formatException(
                ready.exc_info)
        ready.exc_info = ready.args = None
        if not self._outlet.put(lambda: self._inner.emit(ready)):
            metrics.log_records_dropped.inc()

    def _say_dropped(self, count: int) -> None:
        """Log how many records were dropped; runs in the outlet's thread."""
        self._inner.emit(logging.makeLogRecord({
            'name': __name__, 'levelno': logging.WARNING,
            'levelname': 'WARNING',
            'msg': f'{count} records were dropped, because the reader of '
                   'this log did not read them.'}))
