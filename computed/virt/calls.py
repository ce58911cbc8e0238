"""Call the driver with a deadline.

A call to a hypervisor may hang for ever, and no thread can be stopped from
outside. So each call runs in a thread of its own, and its caller waits for a
limited time only.
"""

import dataclasses
import threading
import traceback
import typing
from collections import abc
from concurrent import futures

from oslo_context import context as oslo_context
from oslo_log import log as logging

from computed import concurrency
from computed import exception
from computed import metrics
from computed.virt import claim as virt_claim
from computed.virt import driver as virt_driver

LOG = logging.getLogger(__name__)

T = typing.TypeVar('T')


class Calls:
    """The calls of one driver.

    While a call hangs, the same question is not asked again: calls about its
    guest, or the same call about all guests, are refused at once.
    """

    def __init__(self, driver: abc.Callable[[], virt_driver.ComputeDriver],
                 timeout: abc.Callable[[], float]) -> None:
        """:param timeout: seconds that a caller waits"""
        self._driver = driver
        self._timeout = timeout
        self._lock = threading.Lock()
        # The calls that have passed their deadline, and what each is about.
        self._hanging: dict[futures.Future, str] = {}
        self._acts: set[futures.Future] = set()

    # -- looking

    def init_host(self, owner: virt_claim.Owner) -> None:
        """Make the driver ready; see the driver's method.

        :raises computed.exception.DriverHangs: it is not ready in time
        """
        self._look('init_host', 'init_host',
                   lambda: self._driver().init_host(owner))

    def list_instances(self) -> virt_driver.Snapshot:
        """Return all guests; see the driver's method.

        :raises computed.exception.DriverHangs: there is no answer in time
        """
        return self._look('list_instances', 'list_instances',
                          lambda: self._driver().list_instances())

    def get_instance(self, uuid: str) -> virt_driver.InstanceInfo:
        """Return one guest; see the driver's method.

        :raises computed.exception.DriverHangs: there is no answer in time
        """
        return self._look(uuid, f'get_instance of {uuid}',
                          lambda: self._driver().get_instance(uuid))

    def list_instance_files(self) -> dict[str, float]:
        """Return the guests that have left files; see the driver's method.

        :raises computed.exception.DriverHangs: there is no answer in time
        """
        return self._look('list_instance_files', 'list_instance_files',
                          lambda: self._driver().list_instance_files())

    def host_resources(self) -> virt_driver.HostResources:
        """Return what the host has; see the driver's method.

        :raises computed.exception.DriverHangs: there is no answer in time
        """
        return self._look('host_resources', 'host_resources',
                          lambda: self._driver().host_resources())

    def interface_counters(
            self, uuids: abc.Sequence[str],
    ) -> list[virt_driver.InterfaceCounters]:
        """Return the counters of these guests; see the driver's method.

        :raises computed.exception.DriverHangs: there is no answer in time
        """
        about = uuids[0] if len(uuids) == 1 else 'interface_counters'
        return self._look(about, 'interface_counters',
                          lambda: self._driver().interface_counters(uuids))

    def block_counters(
            self, uuid: str) -> list[virt_driver.BlockCounters]:
        """Return the counters of a guest's volumes; see the driver's method.

        :raises computed.exception.DriverHangs: there is no answer in time
        """
        return self._look(uuid, f'block_counters of {uuid}',
                          lambda: self._driver().block_counters([uuid]))

    def list_volumes(self, uuid: str) -> list[virt_driver.Volume]:
        """Return the volumes of a guest; see the driver's method.

        :raises computed.exception.DriverHangs: there is no answer in time
        """
        return self._look(uuid, f'list_volumes of {uuid}',
                          lambda: self._driver().list_volumes(uuid))

    def console_log(self, uuid: str, max_bytes: int) -> str:
        """Return the end of what a guest printed; see the driver's method.

        :raises computed.exception.DriverHangs: there is no answer in time
        """
        return self._look(uuid, f'console_log of {uuid}',
                          lambda: self._driver().console_log(uuid, max_bytes))

    def _look(self, about: str, name: str,
              question: abc.Callable[[], T]) -> T:
        timeout = self._timeout()
        with self._lock:
            hangs = about in self._hanging.values()
        if hangs:
            raise exception.DriverHangs(operation=name, timeout=timeout)
        call = _started(name, question)
        if self._in_time(call, about, name, timeout):
            return call.answer.result()
        raise exception.DriverHangs(operation=name, timeout=timeout)

    # -- acting

    def act(self, name: str,
            job: abc.Callable[[abc.Callable[[], None]], T],
            seconds: float) -> T | None:
        """Run ``job``, which changes a guest, in a thread of its own.

        The job holds its claim and its lock, and ends both itself: it may
        still have its effect after the caller has stopped waiting.

        :param name: what it does to which guest, for the log
        :param job: called with a function that it calls once the driver has
            done its part; what follows has no deadline
        :param seconds: what it may take beyond the deadline of a call
        :returns: what ``job`` returns; None: the deadline has passed, and
            the job goes on
        """
        driver_part: futures.Future[None] = futures.Future()

        def done(*_: object) -> None:
            if not driver_part.done():
                driver_part.set_result(None)
        call = _started(name, lambda: job(done))
        with self._lock:
            self._acts.add(call.answer)
        call.answer.add_done_callback(self._acts.discard)
        call.answer.add_done_callback(done)
        if self._in_time(dataclasses.replace(call, answer=driver_part),
                         f'act {name}', name, self._timeout() + seconds):
            return call.answer.result()
        call.answer.add_done_callback(
            lambda ended: _log_late_error(ended, name))
        return None

    def finish(self, timeout: float | None = None) -> None:
        """Wait for the acts under way, those that hang included.

        :param timeout: seconds; None: without a limit
        """
        with self._lock:
            acts = list(self._acts)
        futures.wait(acts, timeout)

    # -- hanging

    def _in_time(self, call: 'Call', about: str, name: str,
                 timeout: float) -> bool:
        """Wait for a call; return whether it ended before its deadline."""
        wait(call.answer, name, timeout)
        with self._lock:
            if call.answer.done():
                return True
            self._hanging[call.answer] = about
            metrics.driver_calls_hanging.set(len(self._hanging))
        LOG.warning('The driver does not answer: %(name)s takes longer than '
                    '%(timeout)s s. It is not asked again until this call '
                    'ends. The call is at:\n%(stack)s',
                    {'name': name, 'timeout': timeout, 'stack': ''.join(
                        traceback.format_stack(concurrency.frame_of(
                            call.thread)))})
        call.answer.add_done_callback(
            lambda ended: self._answered(ended, name))
        return False

    def _answered(self, answer: futures.Future, name: str) -> None:
        with self._lock:
            del self._hanging[answer]
            metrics.driver_calls_hanging.set(len(self._hanging))
        LOG.warning('The driver answers again: %(name)s has ended%(error)s.',
                    {'name': name, 'error': f' with {answer.exception()!r}'
                     if answer.exception() else ''})


@dataclasses.dataclass(frozen=True)
class Call:
    """A call under way.

    :ivar answer: what will come of it
    :ivar thread: the id of the thread that it runs in
    """

    answer: futures.Future
    thread: int


def _log_late_error(answer: futures.Future, name: str) -> None:
    if error := answer.exception():
        LOG.error('%(name)s failed after its deadline: %(error)r',
                  {'name': name, 'error': error})


def wait(call: futures.Future, name: str, timeout: float) -> None:
    """Wait until ``call`` has ended or the time is up; tests replace this."""
    futures.wait([call], timeout)


def _started(name: str, function: abc.Callable[[], typing.Any]) -> Call:
    """Begin to call ``function`` in a thread."""
    answer: futures.Future = futures.Future()
    asking = oslo_context.get_current()

    def run() -> None:
        if asking is not None:
            asking.update_store()   # its request id, in the driver's log
        try:
            result = function()
        except BaseException as error:      # it belongs to the caller
            answer.set_exception(error)
        else:
            answer.set_result(result)
    try:
        thread = concurrency.thread(f'driver: {name}', run)
        thread.start()
    except RuntimeError:
        # The system has no thread left. Without a deadline is better than
        # not at all: the caller may hold a claim.
        run()
        return Call(answer, threading.get_ident())
    return Call(answer, thread.ident or 0)
