"""One compute host: the index of what it does.

A line for each periodic task, a line for each operation that may be asked of
it over RPC.
"""

import threading
from concurrent import futures

import oslo_messaging as messaging
from oslo_log import log as logging

from computed.claims import locks
from computed.operations import build
from computed.operations import operation
from computed.operations import power
from computed.repair import brakes
from computed.rpc import endpoint
from computed.tasks import bandwidth
from computed.tasks import resources
from computed.tasks.power_states import task as power_states
from computed.usage import meter

LOG = logging.getLogger(__name__)


class ComputeManager:
    """What ``computed`` runs on a host.

    :ivar after_reboot: this machine was restarted since the host was last
        in service, so differences are expected; until the first full pass
    :ivar stopping: set once the service ends: what looks wrong from now on
        may be the machine going down
    :ivar warned: ``{uuid: warning}`` said at the last pass
    :ivar braked: the names of those the brake held back then, or None
    """

    target = messaging.Target(version='1.0')

    _sync_power_states = power_states.sync_power_states
    update_available_resource = resources.update_available_resource
    _poll_bandwidth_usage = bandwidth.poll_bandwidth_usage

    build_instance = endpoint.exposed(operation.endpoint(build.BUILD))
    delete_instance = endpoint.exposed(operation.endpoint(build.DELETE))
    start_instance = endpoint.exposed(operation.endpoint(power.START))
    stop_instance = endpoint.exposed(operation.endpoint(power.STOP))
    reboot_instance = endpoint.exposed(operation.endpoint(power.REBOOT))
    reboot_instance_hard = endpoint.exposed(
        operation.endpoint(power.REBOOT_HARD))
    pause_instance = endpoint.exposed(operation.endpoint(power.PAUSE))
    unpause_instance = endpoint.exposed(operation.endpoint(power.UNPAUSE))

    def __init__(self, conf, driver, claims, after_reboot=False,
                 on_reboot_over=None, hourly=None):
        """:param on_reboot_over: called once what a restart of the machine
            left is repaired
        :param hourly: the repairs of the last hour, a
            :class:`computed.repair.brakes.Hourly`; None: none yet
        """
        self.conf = conf
        self.host = conf.host
        self.driver = driver
        self.claims = claims
        self.after_reboot = after_reboot
        self._on_reboot_over = on_reboot_over if after_reboot else None
        self.stopping = threading.Event()
        self.locks = locks.Locks()
        self.hourly = hourly or brakes.Hourly()
        self.meter = meter.Meter(self)
        self.warned = {}
        self.braked = None
        # How a person calls the command line; the service knows better.
        self.command_line = 'computed-manage {}'.format
        self.workers = futures.ThreadPoolExecutor(
            conf.operation_workers, thread_name_prefix='operation')

    def reboot_is_over(self):
        """A whole pass has dealt with what a restart of the machine left."""
        # First: full disk or not, the brakes hold from now on.
        self.after_reboot = False
        if self._on_reboot_over is None:
            return
        try:
            self._on_reboot_over()
        except OSError as error:
            LOG.error('That all is well since the restart of this machine '
                      'could not be written down; the next pass tries '
                      'again: %s', error)
        else:
            self._on_reboot_over = None

    @endpoint.exposed
    def get_console_log(self, context, uuid, max_bytes):
        """The end of what an instance printed, as text."""
        return self.driver.console_log(uuid, max_bytes)

    @endpoint.exposed
    def get_guest(self, context, uuid):
        """What only the hypervisor knows of an instance, for people.

        :raises computed.exception.GuestNotFound: there is no such guest
        """
        info = self.driver.get_instance(uuid)
        return {'reason': info.reason, **info.details}
