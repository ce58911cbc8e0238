"""One compute host: the index of what it does.

It has one line for each periodic task, and one line for each operation that
can be requested over RPC.
"""

import threading
import typing
from collections import abc

import oslo_messaging as messaging
from oslo_config import cfg
from oslo_log import log as logging

from computed import clock
from computed import concurrency
from computed import context as computed_context
from computed import exception
from computed.claims import claims as claims_module
from computed.claims import locks
from computed.operations import build
from computed.operations import operation
from computed.operations import power
from computed.operations import reconcile
from computed.operations import soft_delete
from computed.operations import volumes
from computed.repair import memory as memory_module
from computed.rpc import endpoint
from computed.tasks import bandwidth
from computed.tasks import console_tokens
from computed.tasks import pending_deletes
from computed.tasks import reclaim
from computed.tasks import resources
from computed.tasks import running_deleted
from computed.tasks import scheduler_info
from computed.tasks import usage_audit
from computed.tasks import volume_usage
from computed.tasks.power_states import task as power_states
from computed.tasks.time_outs import task as time_outs
from computed.usage import database_time
from computed.usage import meter
from computed.usage import volumes as volume_meter
from computed.virt import calls
from computed.virt import driver as virt_driver

LOG = logging.getLogger(__name__)

# Threads that check guests after a lifecycle event from the driver.
EVENT_WORKERS = 4


class ComputeManager:
    """What ``computed`` runs on a host.

    :ivar calls: calls the driver with a deadline; acts under a claim call
        ``driver`` itself, in a thread of :meth:`computed.virt.calls.Calls.act`
    :ivar stopping: set when the service ends. After that, what looks wrong
        may only show that the machine goes down.
    :ivar former_left: whether claims of a former service of this host are
        left, because the guests could not be listed
    :ivar left_marker: where the next pass over the guests of deleted
        instances begins; None: at the first one
    :ivar task_memory: what each task remembers from pass to pass
    :ivar workers: the threads of operations; ``event_workers``: those that
        check one guest after an event
    """

    target = messaging.Target(version='1.0')

    _sync_power_states = power_states.sync_power_states
    update_available_resource = resources.update_available_resource
    _check_instance_build_time = time_outs.check_instance_build_time
    _poll_rebooting_instances = time_outs.poll_rebooting_instances
    _poll_bandwidth_usage = bandwidth.poll_bandwidth_usage
    _poll_volume_usage = volume_usage.poll_volume_usage
    _instance_usage_audit = usage_audit.instance_usage_audit
    _cleanup_expired_console_auth_tokens = (
        console_tokens.cleanup_expired_console_auth_tokens)
    _sync_scheduler_instance_info = (
        scheduler_info.sync_scheduler_instance_info)
    _reclaim_queued_deletes = reclaim.reclaim_queued_deletes
    _run_pending_deletes = pending_deletes.run_pending_deletes
    _cleanup_running_deleted_instances = (
        running_deleted.cleanup_running_deleted_instances)

    build_instance = endpoint.exposed_act(operation.endpoint(build.BUILD))
    delete_instance = endpoint.exposed_act(soft_delete.delete_instance)
    delete_instance_hard = endpoint.exposed_act(
        operation.endpoint(build.DELETE))
    restore_instance = endpoint.exposed_act(
        operation.endpoint(soft_delete.RESTORE))
    start_instance = endpoint.exposed_act(operation.endpoint(power.START))
    stop_instance = endpoint.exposed_act(operation.endpoint(power.STOP))
    reboot_instance = endpoint.exposed_act(operation.endpoint(power.REBOOT))
    reboot_instance_hard = endpoint.exposed_act(
        operation.endpoint(power.REBOOT_HARD))
    pause_instance = endpoint.exposed_act(operation.endpoint(power.PAUSE))
    unpause_instance = endpoint.exposed_act(operation.endpoint(power.UNPAUSE))

    def __init__(self, conf: cfg.ConfigOpts,
                 driver: virt_driver.ComputeDriver,
                 claims: claims_module.Claims, after_reboot: bool = False,
                 on_reboot_over: abc.Callable[[], None] | None = None,
                 task_memory: memory_module.Memory | None = None) -> None:
        """:param after_reboot: whether this machine was restarted since the
            service last ran, so that differences are expected
        :param on_reboot_over: called when it is known what a restart of
            the machine has left
        :param task_memory: None: the tasks remember nothing yet, and what
            they remember ends with this object
        """
        self.conf = conf
        self.host = conf.host
        self.driver = driver
        self.calls = calls.Calls(
            lambda: self.driver, lambda: conf.virt.driver_call_timeout)
        self.claims = claims
        self._after_reboot, self._began = after_reboot, clock.monotonic()
        self._on_reboot_over = on_reboot_over if after_reboot else None
        self.stopping = threading.Event()
        self.former_left = False
        self.left_marker: str | None = None
        self.locks = locks.Locks()
        self.task_memory = task_memory or memory_module.Memory()
        self.database_time = database_time.DatabaseTime()
        self.meter = meter.Meter(self, self.database_time.now)
        self.volume_meter = volume_meter.VolumeMeter(
            self, self.database_time.now)
        # How an operator calls the command line; the service replaces it.
        self.command_line: abc.Callable[[str], str] = (
            'computed-manage {}'.format)
        self.workers = concurrency.executor(
            'operation', conf.operation_workers)
        self.event_workers = concurrency.executor('event', EVENT_WORKERS)

    @property
    def after_reboot(self) -> bool:
        """Return whether a restart of the machine explains any difference.

        It does so until the first whole look, and not for long without one.
        """
        return self._after_reboot and (
            clock.monotonic() - self._began < memory_module.DEADLINE)

    def reboot_is_over(self) -> None:
        """End the time after a restart of the machine.

        It is known now, and kept, what the restart explains.
        """
        # This comes first: the brakes apply again even if the disk is full.
        self._after_reboot = False
        if self._on_reboot_over is None:
            return
        try:
            self._on_reboot_over()
        except OSError as error:
            LOG.error('It could not be recorded that all was looked at since '
                      'the restart of this machine; the next pass tries '
                      'again: %s', error)
        else:
            self._on_reboot_over = None

    @endpoint.exposed
    def get_console_log(self, context: computed_context.RequestContext,
                        uuid: str, max_bytes: int) -> str:
        """Return the end of what an instance printed, as text."""
        return self.calls.console_log(uuid, max_bytes)

    @endpoint.exposed
    def get_guest(self, context: computed_context.RequestContext,
                  uuid: str) -> dict[str, typing.Any]:
        """Return what only this host knows of an instance, for people.

        :raises computed.exception.GuestNotFound: there is no such guest
        """
        held = self.claims.settled.held().get(uuid)
        regressed = {'regressed': str(held.error(uuid))} if held else {}
        try:
            info = self.calls.get_instance(uuid)
        except exception.DriverError:
            if held:
                return regressed
            raise
        return {'reason': info.reason, **info.details, **regressed}

    @endpoint.exposed
    def list_regressed(self, context: computed_context.RequestContext
                       ) -> list[dict[str, str]]:
        """Return ``uuid`` and ``name`` of each instance that is held."""
        return [{'uuid': uuid, 'name': one.name}
                for uuid, one in self.claims.settled.held().items()]

    @endpoint.exposed_act
    def attach_volume(self, context: computed_context.RequestContext,
                      uuid: str, volume_id: str) -> None:
        """See :func:`computed.operations.volumes.attach`."""
        volumes.attach(self, context, uuid, volume_id)

    @endpoint.exposed_act
    def detach_volume(self, context: computed_context.RequestContext,
                      uuid: str, volume_id: str) -> None:
        """See :func:`computed.operations.volumes.detach`."""
        volumes.detach(self, context, uuid, volume_id)

    @endpoint.exposed_act
    def reconcile(self, context: computed_context.RequestContext,
                  uuid: str, keep_guest: bool) -> None:
        """See :func:`computed.operations.reconcile.reconcile`."""
        reconcile.reconcile(self, context, uuid, keep_guest)
