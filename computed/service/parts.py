"""The parts of a service: started in order, ended in reverse order.

A service may be told to end while it starts. Then its start ends at the next
part, and no part is left that nobody ends.
"""

import threading
import typing
from collections import abc

from oslo_log import log as logging

from computed import clock
from computed.logs import outage

LOG = logging.getLogger(__name__)
Result = typing.TypeVar('Result')


class Ended(Exception):
    """The service was told to end while it started."""


class Parts:
    """The parts of one service that have started.

    :ivar stopping: is set when the end begins
    """

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._steps: list[abc.Callable[[], object]] = []

    def ends_with(self, *steps: abc.Callable[[], object]) -> None:
        """Run ``steps`` at the end: the last first, then the earlier ones.

        :raises Ended: the end has begun; the steps have run already
        """
        with self._lock:
            if not self.stopping.is_set():
                self._steps += steps
                return
        for step in reversed(steps):
            self._run(step)
        raise Ended

    def check(self) -> None:
        """Go on with the start only if the end has not begun.

        :raises Ended: it has
        """
        if self.stopping.is_set():
            raise Ended

    def until_possible(self, attempt: abc.Callable[[], Result],
                       temporary: tuple[type[Exception], ...],
                       waiting: abc.Callable[[Exception], float],
                       silent: float = 0.0) -> Result:
        """Call ``attempt`` until it raises none of ``temporary``; log why.

        :param waiting: called with the error; returns the seconds to wait
        :param silent: seconds for which the log says nothing
        :returns: the result of ``attempt``
        :raises Ended: the end has begun
        """
        wait, began = outage.Outage(
            'Waiting', 'Waiting for {seconds}',
            'It waited for {seconds}, and goes on.'), clock.monotonic()
        while True:
            self.check()
            try:
                found = attempt()
            except temporary as error:
                self.check()
                seconds = waiting(error)
                if clock.monotonic() - began >= silent:
                    wait.lasts(str(error), type(error).__name__)
            else:
                wait.ends()
                return found
            self.stopping.wait(seconds)

    def begin_end(self) -> None:
        """Let the start end, and take no more parts."""
        with self._lock:
            self.stopping.set()

    def end(self, *first: abc.Callable[[], object]) -> None:
        """Run ``first``, then the steps, each even if another one fails.

        :raises Exception: the last failure, if there is one
        """
        self.begin_end()
        failures = [self._run(step) for step in first]
        while self._steps:
            failures.append(self._run(self._steps.pop()))
        for failure in reversed(failures):
            if failure is not None:
                raise failure

    @staticmethod
    def _run(step: abc.Callable[[], object]) -> Exception | None:
        try:
            step()
        except Exception as error:
            LOG.exception('A part of the service could not be stopped.')
            return error
        return None
