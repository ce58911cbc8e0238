"""End all processes of a guest, and record that the driver did it."""

from collections import abc

from oslo_log import log as logging

from computed import exception
from computed.virt.process import folder
from computed.virt.process import network
from computed.virt.process import proc
from computed.virt.process import state
from computed.virt.process import tree

LOG = logging.getLogger(__name__)


def end(guest: folder.Folder, timeout_s: float,
        hurry: abc.Callable[[], object] = lambda: False) -> None:
    """End all processes of a guest and remove its interface.

    A guest without processes is success.

    :param timeout_s: seconds that they may take after SIGTERM; 0: kill them
        at once
    :param hurry: whether to kill them now, before the time is over
    :raises computed.exception.DriverTimeout: some are still there
    """
    run, known = None, True
    try:
        run = guest.run()
    except exception.DriverError:
        known = False       # the markers tell which processes are its own
    processes = tree.Tree(guest, run)
    _record_stopping(guest, processes.run)
    try:
        if timeout_s > 0:
            processes.terminate(timeout_s, hurry)
        processes.kill()
    except exception.DriverTimeout:
        if processes.run and proc.alive(processes.run.main):
            # If the guest ends later, it ends by itself.
            guest.forget_stopping()
        raise
    if not known:
        guest.forget_run()
    interface = guest.record().interface
    if interface:
        network.remove(interface)


def _record_stopping(guest: folder.Folder, run: state.Run | None) -> None:
    """Record that the coming end of this run is no crash."""
    if run is None or not proc.alive(run.main):
        return
    try:
        guest.write_stopping()
    except OSError as error:
        # The caller wants it to end in any case.
        LOG.warning('Guest %s is being stopped but may be shown as crashed: '
                    '%s', guest.uuid, error)
