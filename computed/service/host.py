"""The daemon of one host: its parts, put together, started and stopped."""

import contextlib
import functools
import os
import typing
from collections import abc

from oslo_config import cfg
from oslo_log import log as logging

from computed import context
from computed import exception
from computed import files
from computed import manager
from computed import metrics
from computed import objects
from computed.claims import belonging
from computed.claims import claims
from computed.claims import journal
from computed.claims import remembered
from computed.claims import seen
from computed.claims import settled
from computed.conductor import client as conductor_client
from computed.conf import validation
from computed.logs import seldom
from computed.objects import base
from computed.objects import instance as instance_obj
from computed.operations import recover
from computed.periodic import collect
from computed.periodic import runner
from computed.repair import memory
from computed.rpc import hostapi
from computed.rpc import transport as transport_module
from computed.service import child as child_module
from computed.service import heartbeat
from computed.service import identity
from computed.service import lifecycle_events
from computed.service import metrics_server
from computed.service import ownership
from computed.service import parts
from computed.service import registration
from computed.service import surroundings as surroundings_module
from computed.service import task_endpoint
from computed.service.output import console
from computed.tasks import resources
from computed.tasks.power_states import task as power_states
from computed.virt import calls
from computed.virt import driver

LOG = logging.getLogger(__name__)
Result = typing.TypeVar('Result')

# The start is tried again while one of these errors lasts.
TEMPORARY = (exception.ConductorUnavailable, exception.OutcomeUnknown,
             exception.PrimaryUnavailable, exception.PrimaryReadOnly,
             exception.DatabaseFailed,
             exception.WriteConflict, exception.DriverNotReady,
             exception.HostNotSilent, exception.PutOff,
             exception.StatePathUnwritable,
             # The heartbeats register this run again, or end the service.
             exception.Replaced)
# Seconds between two attempts, and while another run may be alive: its
# silence takes long, and each attempt is a write.
RETRY, RETRY_TAKEN = 0.5, 2.0


class HostService:
    """The service that the program ``computed`` runs.

    :ivar end: called with the error that ends the service; the program sets
        it
    """

    def __init__(self, conf: cfg.ConfigOpts,
                 child: child_module.ConductorChild | None = None,
                 surroundings: surroundings_module.Surroundings | None = None
                 ) -> None:
        """:param child: the conductor to run beside this service, or None
        :param surroundings: None: those of this machine
        """
        self.conf = conf
        self.child = child
        self.end: abc.Callable[[Exception], None] = LOG.error
        self.driver: driver.ComputeDriver | None = None
        self.manager: manager.ComputeManager | None = None
        self.runner: runner.Runner | None = None
        self._lifecycle_events: lifecycle_events.LifecycleEvents | None = None
        self._lines = seldom.Seldom(LOG)
        self._around = surroundings or surroundings_module.Surroundings()
        self._parts = parts.Parts()
        self._transport: transport_module.Transport | None = None

    # -- start

    def start(self) -> None:
        """Start all parts in order; this may take long.

        It returns before that if :meth:`stop` is called.

        First come the parts that need only this machine: the lock, the
        identity, the plug-ins. Then come the conductor, the driver, the check
        of the guests' owner, and what an earlier run left behind. The service
        takes calls last.

        :raises computed.exception.ComputedError: the service cannot start
        """
        state_path = os.path.abspath(self.conf.state_path)
        try:
            with contextlib.suppress(parts.Ended):
                self._start(state_path)
        except OSError as error:
            # Perhaps a link or a folder is in the place of a file.
            if not str(error.filename).startswith(f'{state_path}/'):
                raise
            raise validation.unusable_state_path(
                state_path, error) from error

    def _start(self, state_path: str) -> None:
        locked = self._until_possible(lambda: self._around.lock(state_path))
        self._parts.ends_with(locked.close)
        self._parts.ends_with(functools.partial(
            metrics.use, metrics.use(self._around.metrics)))
        self._parts.ends_with(metrics_server.serve(
            self._around.metrics, self.conf))
        self.identity = self._until_possible(lambda: identity.load(
            state_path, self._around.boot_id_path))
        reserve = self._until_possible(lambda: identity.tidied(state_path))
        witnessed = seen.Kept(files.below(state_path, 'seen.json'))
        self._registrar = registration.Registrar(
            self.conf, self.identity, locked.place, witnessed)
        objects.register_all()
        self._tasks = self._around.load_tasks(
            self.conf, collect.collect(manager.ComputeManager))
        make_driver = self._around.load_driver(self.conf)
        self._connect()
        known = belonging.known(state_path)
        self._registrar.database_id = known.database_id if known else None
        # Under another name the guests are asked first: that name may be a
        # mistake, and nothing must be written under it then.
        former = known if known and known.host != self.conf.host else None
        database_id = former.database_id if former else self._register()
        self._conductor.database_id = database_id
        self.claims = self._claims_of(
            database_id, state_path, reserve, witnessed)
        if former is None:
            self._report()
        self._find_guests(make_driver)
        if former is not None:
            self._register()
            self._report()
        belonging.keep(state_path, belonging.Belonging(
            database_id, self.conf.host))
        self._manage(state_path)
        self._serve()
        self._around.hello(self.conf, self.instances())

    def _register(self) -> str:
        """Register this run; return the id of the database.

        :raises computed.exception.ConfigError: it is another database than
            that of earlier runs
        """
        try:
            return self._until_possible(
                self._registrar.register)['database_id']
        except exception.WrongDatabase as error:
            raise belonging.refused(
                error, os.path.abspath(self.conf.state_path)) from error

    def _find_guests(self, make_driver: abc.Callable[
            [cfg.ConfigOpts], driver.ComputeDriver]) -> None:
        self.driver = make_driver(self.conf)
        first = calls.Calls(lambda: self.driver,
                            lambda: self.conf.virt.driver_call_timeout)
        self._until_possible(lambda: first.init_host(self.claims.owner))
        self._parts.ends_with(self.driver.close)
        self._until_possible(lambda: ownership.check(
            first.list_instances(), self.claims.owner))

    def _connect(self) -> None:
        # Here the reason is told in one line; a child would be restarted.
        if channel := self._around.make_channel(
                self.conf, f'host:{self.conf.host}'):
            channel.close()
        if self.child is not None:
            self.child.start()
            self._parts.ends_with(self.child.stop)
        transport = self._transport = self._around.make_transport(self.conf)
        self._parts.ends_with(transport.close)
        self._conductor = conductor_client.ConductorAPI(transport)
        base.use_conductor(self._conductor)

    def _claims_of(self, database_id: str, state_path: str,
                   reserve: files.Reserve,
                   witnessed: seen.Kept) -> claims.Claims:
        found = claims.Claims(
            database_id, self.conf.host, self.identity.service_id,
            self.identity.boot_id,
            journal.Journal(files.below(state_path, 'claims'), reserve),
            seen=witnessed)
        found.settled = settled.Settled(
            found.owner, remembered.Store(
                files.below(state_path, 'settled'), found.owner,
                self.identity.after_reboot, reserve))
        return found

    def _until_possible(self, attempt: abc.Callable[[], Result]) -> Result:
        """Call ``attempt`` until it raises none of ``TEMPORARY``.

        :raises computed.service.parts.Ended: the service is stopping
        """
        def waiting(error: Exception) -> float:
            self._around.waiting(str(error), 30)
            if isinstance(error, exception.HostNotSilent):
                return min(RETRY_TAKEN, max(RETRY, error.kwargs['left']))
            return RETRY
        # A child conductor needs a moment to start: no warning yet.
        return self._parts.until_possible(
            attempt, TEMPORARY, waiting, silent=5 if self.child else 0)

    def _report(self) -> None:
        """Report from now on.

        The rest of the start may take long, and another service takes a host
        that is silent for long.
        """
        self._beats = heartbeat.Heartbeat(
            self.conf, self.identity, self.claims,
            lambda: self.runner.digest() if self.runner else {},
            self._registrar.register, self.end)
        self._beats.replays = False
        self._beats.start()
        self._parts.ends_with(self._beats.stop)

    def _manage(self, state_path: str) -> None:
        self.manager = manager.ComputeManager(
            self.conf, self.driver, self.claims, self.identity.after_reboot,
            functools.partial(identity.keep, state_path, self.identity),
            memory.Memory(files.below(state_path, 'tasks')))
        self.manager.command_line = functools.partial(
            console.command, self.conf)
        self.runner = runner.Runner(
            self.conf, self.manager, context.new, state_path,
            tasks=self._tasks)
        self._until_possible(self.instances)
        self._subscribe()
        self._until_possible(lambda: recover.recover(
            self.manager, context.new(asked_by='a start of the service'),
            self.instances(),
            lambda: self._around.waiting(
                'finishing interrupted operations', 120)))
        self._until_possible(self._record_resources)

    def _record_resources(self) -> None:
        try:
            resources.update(self.manager, context.new(resync=True))
        except exception.DriverHangs as error:
            LOG.warning('What this host has is recorded later: %s', error)

    def instances(self) -> instance_obj.InstanceList:
        """Return the live instances of this host, read on the primary."""
        return instance_obj.InstanceList.get_whole_by_host(
            context.new(resync=True), self.conf.host, use_slave=False)

    def _subscribe(self) -> None:
        self._lifecycle_events = lifecycle_events.LifecycleEvents(
            lambda uuid: self.manager.event_workers.submit(
                self._check_instance, uuid),
            lambda: self.conf.virt.stopped_event_delay)
        self._lifecycle_events.start()
        self.driver.subscribe(self._lifecycle_events.note)

    def _check_instance(self, uuid: str) -> None:
        try:
            power_states.check_instance(
                self.manager, context.new(asked_by='an event of the driver'),
                uuid)
        except exception.ComputedError as error:
            self._lines.info('A lifecycle event of instance %s is left to '
                             'the next pass: %s',
                             self.manager.claims.settled.label(uuid), error)
        except Exception:
            LOG.exception('A lifecycle event of instance %s failed.',
                          self.manager.claims.settled.label(uuid))

    def _serve(self) -> None:
        # The server has a transport of its own: when the broker is away, a
        # client gives up soon, but the replies of a server wait.
        transport = self._around.make_transport(self.conf)
        target = hostapi.target(self.conf.host)
        self._until_possible(lambda: transport.reach(target))
        server = transport.server(
            target,
            [self.manager, task_endpoint.TaskEndpoint(
                self.runner, self.conf.rpc_response_timeout)])
        self._parts.check()
        transport.start(server)
        self.runner.start()
        self._beats.replays = True
        self._parts.ends_with(
            self.manager.calls.finish,
            lambda: self.manager.event_workers.shutdown(wait=True),
            lambda: self.manager.workers.shutdown(wait=True),
            self._stop_runner, server.finish, server.stop)

    def _stop_runner(self) -> None:
        running = self.runner.stop(self.conf.graceful_shutdown_timeout or
                                   None)
        if running:
            LOG.warning('Still running: %s.', ', '.join(running))

    # -- stop, reload

    def stop(self) -> None:
        """Take no new work, finish the old, leave the guests running.

        Each part is ended even if another one fails.

        :raises Exception: the last failure, if there is one
        """
        self._parts.begin_end()
        if self._transport is not None:
            # Conductors may end now, too. What they do not record is in the
            # journal.
            self._transport.begin_end()
        first: list[abc.Callable[[], object]] = []
        if self._lifecycle_events is not None:
            first += [functools.partial(self.driver.subscribe, None),
                      self._lifecycle_events.stop]
        if self.runner is not None:
            first.append(functools.partial(self.runner.stop, timeout=0))
        if self.manager is not None:
            # This comes first: a guest that stops because the machine goes
            # down must not be recorded as stopped by its user.
            self.manager.stopping.set()
            first.append(lambda: self._around.goodbye(
                self.conf, self.manager.calls, self.claims.owner))
        self._parts.end(*first)

    def reload(self) -> None:
        """Use the changed configuration."""
        if self.child is not None:
            self.child.reload()
        if self.runner is not None:
            self.runner.reload()
