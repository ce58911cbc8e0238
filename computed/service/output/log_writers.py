"""The log of a service: free of what deceives, and never in the way.

The thread that logs makes the text; a thread for each handler writes it.
"""

import contextlib
import logging
import sys
import typing
from collections import abc

from oslo_config import cfg

from computed import metrics
from computed.logs import printable
from computed.logs import seldom
from computed.service import terminal
from computed.service.output import outlet

# Those of the present loggers. One that an outlet still writes for stays here
# after a reload, so that its outlet can serve another one later.
_used: list['Background'] = []


def prepare(conf: cfg.ConfigOpts) -> None:
    """Let every handler write printable text, and hold up nobody.

    Call it again after a reload, which may have made new handlers.
    """
    terminal.clean_logs(conf)
    present = [handler for logger in _loggers() for handler in logger.handlers]
    for logger in _loggers():
        for handler in list(logger.handlers):
            if not isinstance(handler, Background | logging.NullHandler):
                logger.removeHandler(handler)
                made = Background(handler, _spare(present))
                logger.addHandler(made)
                _used.append(made)


def _spare(present: list[logging.Handler]) -> outlet.Outlet | None:
    """Return the outlet of a handler that a reload has removed, or None.

    Else each reload would leave a thread and a descriptor.
    """
    for one in _used:
        if one not in present and (found := one.own_outlet()):
            _used.remove(one)
            return found
    return None


@contextlib.contextmanager
def kept() -> abc.Iterator[None]:
    """Let the log be as it was if the body fails.

    The file of ``log_config_append`` is read in place: the former handlers
    are gone before its mistakes are found.
    """
    before = {logger: (logger.level, logger.propagate, list(logger.handlers))
              for logger in _loggers()}
    try:
        yield
    except BaseException:
        for logger in _loggers():
            level, logger.propagate, logger.handlers = before.get(
                logger, (logging.NOTSET, True, []))
            logger.setLevel(level)
        raise


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


class _Copy(logging.LogRecord):
    """A copy of a record, without the summary of an error.

    oslo.log adds the error that is being handled to each warning, but our
    lines say already what is wrong.
    """

    def __init__(self, record: logging.LogRecord) -> None:
        self.__dict__.update(record.__dict__)

    @property
    def error_summary(self) -> str:
        """Return the summary that a line gets."""
        return self.__dict__.get('error_summary', '')

    @error_summary.setter
    def error_summary(self, text: str) -> None:
        self.__dict__['error_summary'] = text if self.exc_info else ''


class Background(logging.Handler):
    """Lets another handler write in a thread of its own."""

    def __init__(self, inner: logging.Handler,
                 spare: outlet.Outlet | None = None) -> None:
        """Take the place of a handler.

        :param inner: the other handler; nobody else uses it any more
        :param spare: whose thread writes, unless it is a standard stream
        """
        super().__init__(inner.level)
        self._inner = inner
        inner.setFormatter(_Ready(inner.formatter or logging.Formatter()))
        # It would print a traceback for each record on a full disk.
        inner.handleError = (   # type: ignore[method-assign]
            self._note_failure)
        # logging.shutdown() would flush it while it holds the lock of all
        # loggers: a new log_config_append calls it, and so does the end.
        known: list[typing.Any] = vars(logging)['_handlerList']
        for reference in [one for one in known if one() is inner]:
            known.remove(reference)
        stream = getattr(inner, 'stream', None)
        self._is_shared = stream in (sys.stdout, sys.stderr)
        # A file of its own may be opened again under the same name.
        self._outlet = (outlet.of(stream) if self._is_shared else
                        spare or outlet.Outlet('write log'))
        self._outlet.say_dropped = self._say_dropped
        self._standard_error = sys.stderr, outlet.of(sys.stderr)
        # Only the outlet's thread counts failures, and it must not take the
        # lock of a metric. So who logs next tells the metric.
        self._limit = seldom.Limit()
        self._failed = self._failed_told = self._failed_counted = 0
        self._reason: object = None

    def own_outlet(self) -> outlet.Outlet | None:
        """Return its outlet if it has one of its own that has no work."""
        return (self._outlet if self._outlet.is_empty() and
                not self._is_shared else None)

    def close(self) -> None:
        """Let the other handler be closed once all is written."""
        self._outlet.put(self._inner.close)
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """Make the text of ``record`` and let it be written."""
        if not self._inner.filter(record):
            return
        ready = _Copy(record)
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
        if not self._outlet.put(lambda: self._write(ready)):
            metrics.log_records_dropped.inc()
        failed = self._failed
        if failed > self._failed_counted:
            metrics.log_records_dropped.inc(failed - self._failed_counted)
            self._failed_counted = failed

    def _write(self, record: logging.LogRecord) -> None:
        """Write a record; runs in the outlet's thread, as all below here."""
        before = self._failed
        try:
            self._inner.emit(record)
        except Exception:   # the file cannot be opened again
            self._note_failure(record)
        if self._failed != before:
            self._tell_failure()
        elif lost := self._failed - self._failed_told:
            self._failed_told = self._failed
            self._say(f'{lost} records before this one may be missing: they '
                      f'could not be written ({self._reason}).')

    def _note_failure(self, record: logging.LogRecord) -> None:
        """Note the error that is handled now."""
        self._failed += 1
        error = sys.exc_info()[1]
        self._reason = getattr(error, 'strerror', None) or error

    def _tell_failure(self) -> None:
        """Say on standard error, seldom, that a file cannot be written."""
        if self._is_shared or self._limit.take() is None:
            return
        stream, standard_error = self._standard_error
        name = getattr(self._inner, 'baseFilename', None) or (
            type(self._inner).__name__)
        standard_error.put(outlet.writing(stream, printable.escaped(
            f'The log {name} cannot be written: {self._reason}')))

    def _say_dropped(self, count: int) -> None:
        self._say(f'{count} records were dropped, because the reader of this '
                  'log did not read them.')

    def _say(self, text: str) -> None:
        """Write a line about this log into it."""
        self._inner.emit(logging.makeLogRecord({
            'name': __name__, 'levelno': logging.WARNING,
            'levelname': 'WARNING', 'msg': text}))
