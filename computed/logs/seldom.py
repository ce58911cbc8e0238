"""Lines in the log that may come often, and are written seldom.

What a peer sends, or a server that is away, can be the reason of thousands of
lines in a minute. One of them says what happens; the others are counted.
"""

import logging
import threading

from computed import clock

# Seconds between two lines of one kind.
PAUSE = 60.0
# A kind may contain what a peer has sent; the kinds that come after so many
# share one line.
KINDS = 100

Logger = logging.Logger | logging.LoggerAdapter


class Limit:
    """Tells whether a line of a kind may be written now."""

    def __init__(self, pause: float = PAUSE) -> None:
        """:param pause: seconds between two lines of one kind"""
        self._pause = pause
        self._lock = threading.Lock()
        # For each kind: when its next line may come, and how many lines were
        # not written.
        self._kinds: dict[str, tuple[float, int]] = {}

    def take(self, kind: str = '') -> int | None:
        """Return how many lines were not written, if one may be now.

        :returns: None: none may be
        """
        now = clock.monotonic()
        with self._lock:
            if kind not in self._kinds and len(self._kinds) >= KINDS:
                kind = ''
            due, untold = self._kinds.get(kind, (now, 0))
            if now < due:
                self._kinds[kind] = due, untold + 1
                return None
            self._kinds[kind] = now + self._pause, 0
            return untold


class Seldom:
    """Logs at most one line of a kind in a while, and counts the others.

    Give each object whose lines belong together one of its own.
    """

    def __init__(self, logger: Logger, pause: float = PAUSE) -> None:
        """:param logger: the ``LOG`` of the module that has the lines
        :param pause: seconds between two lines of one kind
        """
        self._logger = logger
        self._limit = Limit(pause)

    def warn(self, text: str, *values: object, kind: str | None = None
             ) -> None:
        """Log a warning, or count it.

        :param text: with a ``%s`` for each of ``values``
        :param kind: lines of one kind share the limit; None: ``text``
        """
        self._log(logging.WARNING, text, values, kind)

    def info(self, text: str, *values: object, kind: str | None = None
             ) -> None:
        """Log a line for information, or count it; see :meth:`warn`."""
        self._log(logging.INFO, text, values, kind)

    def error(self, text: str, *values: object, kind: str | None = None
              ) -> None:
        """Log an error, or count it; see :meth:`warn`."""
        self._log(logging.ERROR, text, values, kind)

    def fault(self, text: str, *values: object, kind: str | None = None
              ) -> None:
        """Log an error that is a fault of this program, with its traceback.

        Call it where the exception is handled; see :meth:`warn`.
        """
        self._log(logging.ERROR, text, values, kind, exc_info=True)

    def _log(self, level: int, text: str, values: tuple[object, ...],
             kind: str | None, exc_info: bool | None = None) -> None:
        untold = self._limit.take(text if kind is None else kind)
        if untold is None:
            return
        if untold:
            text += f' ({untold} more since the last such line)'
        self._logger.log(level, text, *values, exc_info=exc_info)
