"""The daemon of one host: its parts, put together, started and stopped."""

import functools
import os
import threading
import time
from concurrent import futures

from oslo_log import log as logging

import computed
from computed import context
from computed import exception
from computed import manager
from computed import metrics
from computed import objects
from computed.claims import claims
from computed.claims import journal
from computed.conductor import client as conductor_client
from computed.objects import base
from computed.objects import host as host_obj
from computed.objects import instance as instance_obj
from computed.operations import recover
from computed.periodic import collect
from computed.periodic import runner
from computed.repair import brakes
from computed.rpc import endpoint
from computed.rpc import hostapi
from computed.rpc import transport
from computed.service import console
from computed.service import heartbeat
from computed.service import identity
from computed.service import lifecycle_events
from computed.service import notify
from computed.service import plugins
from computed.tasks import resources
from computed.tasks.power_states import task as power_states

LOG = logging.getLogger(__name__)

# While these last, the start is tried again.
TEMPORARY = (exception.ConductorUnavailable, exception.OutcomeUnknown,
             exception.PrimaryUnavailable, exception.PrimaryReadOnly,
             exception.WriteConflict, exception.DriverNotReady,
             exception.PutOff)
RETRY = 0.5


class TaskEndpoint:
    """What may be asked of the runner over RPC."""

    target = manager.ComputeManager.target

    def __init__(self, task_runner, timeout):
        self._runner = task_runner
        self._timeout = timeout

    @endpoint.exposed
    def list_tasks(self, context):
        return self._runner.describe()

    @endpoint.exposed
    def get_task_history(self, context, name):
        return [record.as_dict()
                for record in self._runner.history(name)]

    @endpoint.exposed
    def run_task(self, context, name, accept=None):
        done = self._runner.trigger(name, accept=accept)
        try:
            return done.result(self._timeout).as_dict()
        except futures.TimeoutError:
            # Nobody waits for it any more; and what somebody accepts of a
            # run now must not hold for one that begins hours later.
            done.cancel()
            raise exception.OutcomeUnknown(
                method=f'run of {name}', timeout=self._timeout) from None
        except futures.CancelledError:
            raise exception.HostUnavailable(
                host=self._runner.manager.host) from None


class HostService:
    """What ``computed`` runs."""

    def __init__(self, conf, child=None):
        """:param child: the conductor to run beside, or None"""
        self.conf = conf
        self.child = child
        # Called with the error that ends the service; set by the program.
        self.end = None
        self.driver = self.manager = self.runner = None
        self._lifecycle_events = None
        self._stopping = threading.Event()
        self._parts = []        # stopped in reverse

    # -- start

    def start(self):
        """Come up in the order that ``tasks.md`` gives; may take long.

        :raises computed.exception.ComputedError: it cannot, in one line
        """
        state_path = os.path.abspath(self.conf.state_path)
        lock = identity.lock(state_path)
        self._parts.append(lock.close)
        metrics.serve('[DEFAULT] metrics_address',
                      self.conf.metrics_address)
        self.identity = identity.load(state_path)
        objects.register_all()
        self._tasks = plugins.load_tasks(
            self.conf, collect.collect(manager.ComputeManager))
        make_driver = plugins.load_driver(self.conf)
        self._connect()
        registered = self._until_possible(self._register)
        if registered is None:
            return
        self.claims = claims.Claims(
            registered['database_id'], self.conf.host,
            self.identity.service_id, self.identity.boot_id,
            journal.Journal(os.path.join(state_path, 'claims')))
        self.driver = make_driver(self.conf)
        self._until_possible(
            lambda: self.driver.init_host(self.claims.owner))
        self._parts.append(self.driver.close)
        self._until_possible(self._refuse_strangers)
        self._manage(state_path)
        self._serve()
        console.hello(self.conf, self.manager, self.instances())

    def _connect(self):
        if self.child is not None:
            self.child.start()
            self._parts.append(self.child.stop)
        calls = transport.make(self.conf)
        self._parts.append(calls.close)
        conductor = conductor_client.ConductorAPI(calls)
        # The library's base class demands calls that it never makes.
        base.ComputedObject.indirection_api = (
            conductor)      # type: ignore[assignment]

    def _until_possible(self, attempt):
        """Call ``attempt`` until nothing temporary is in its way."""
        said = None
        while not self._stopping.is_set():
            try:
                return attempt()
            except TEMPORARY as error:
                reason = str(error)
            now = time.monotonic()
            notify.waiting(reason, 30)
            # A child conductor takes a moment; that is no news.
            if said is None:
                said = now + (5 if self.child else 0)
            if said <= now:
                LOG.warning('Waiting: %s', reason)
                said = now + 30
            self._stopping.wait(RETRY)
        return None

    def _register(self):
        return host_obj.Service.register(
            context.new(), self.conf.host, self.identity.service_id,
            self.identity.boot_id, self.identity.host_boot_id,
            computed.__version__, self.conf.service_down_time)

    def _refuse_strangers(self):
        """Refuse a name or a database that all guests here contradict.

        Single guests of other marks are listed and stay as they are.

        :raises computed.exception.DriverNotReady: not all are known yet
        """
        snapshot = self.driver.list_instances()
        if not snapshot.complete:
            raise exception.DriverNotReady(reason='its list is incomplete')
        guests = snapshot.instances.values()
        owner = self.claims.owner
        foreign = [guest for guest in guests if guest.owner != owner]
        for guest in foreign:
            LOG.warning('Guest %(uuid)s is not ours (%(owner)s); it is left '
                        'alone.', {'uuid': guest.uuid, 'owner': guest.owner})
        marks = {guest.owner for guest in foreign if guest.owner}
        ours = any(guest.owner == owner for guest in guests)
        for other in () if ours else marks:
            if other.database_id == owner.database_id:
                raise exception.ConfigError(
                    option='[DEFAULT] host', value=owner.host,
                    problem=f'the guests here belong to host {other.host}',
                    remedy='Give it its former name, or another '
                           '--state-path.')
            raise exception.WrongDatabase(
                expected=other.database_id, found=owner.database_id)

    def _manage(self, state_path):
        self.manager = manager.ComputeManager(
            self.conf, self.driver, self.claims, self.identity.after_reboot,
            functools.partial(identity.keep, state_path, self.identity),
            brakes.Hourly(os.path.join(state_path, 'repairs.json')))
        self.manager.command_line = functools.partial(
            console.command, self.conf)
        self.runner = runner.Runner(
            self.conf, self.manager, context.new, state_path,
            tasks=self._tasks)
        self._until_possible(self.instances)
        self._subscribe()
        self._until_possible(lambda: recover.recover(
            self.manager, context.new(), self.instances(),
            lambda: notify.waiting('finishing what was begun', 120)))
        self._until_possible(
            lambda: resources.update(
                self.manager, context.new(resync=True)))

    def instances(self):
        """The live instances of this host, read on the primary."""
        return list(instance_obj.InstanceList.get_by_host(
            context.new(resync=True), self.conf.host, use_slave=False))

    def _subscribe(self):
        self._lifecycle_events = lifecycle_events.LifecycleEvents(
            lambda uuid: self.manager.workers.submit(
                self._check_instance, uuid),
            lambda: self.conf.virt.stopped_event_delay)
        self._lifecycle_events.start()
        self.driver.subscribe(self._lifecycle_events.hint)

    def _check_instance(self, uuid):
        try:
            power_states.check_instance(self.manager, context.new(), uuid)
        except exception.ComputedError as error:
            LOG.info('A hint about instance %(uuid)s is left to the next '
                     'pass: %(error)s', {'uuid': uuid, 'error': error})
        except Exception:
            LOG.exception('A hint about instance %s failed.', uuid)

    def _serve(self):
        # Its own: a client gives up soon, a server's replies wait.
        calls = transport.make(self.conf)
        target = hostapi.target(self.conf.host)
        self._until_possible(lambda: calls.reach(target))
        server = calls.server(
            target,
            [self.manager,
             TaskEndpoint(self.runner, self.conf.rpc_response_timeout)])
        calls.start(server)
        beats = heartbeat.Heartbeat(self.conf, self.identity, self.claims,
                                    self.runner.digest, self._register,
                                    self.end)
        self.runner.start()
        beats.start()
        self._parts += [
            beats.stop,
            lambda: self.manager.workers.shutdown(wait=True),
            self._stop_runner,
            server.wait, server.stop]

    def _stop_runner(self):
        running = self.runner.stop(self.conf.graceful_shutdown_timeout or
                                   None)
        if running:
            LOG.warning('Still running: %s.', ', '.join(running))

    # -- stop, reload

    def stop(self):
        """End in order: take no new work, finish the old, keep the guests.
        """
        self._stopping.set()
        # First: a guest that the machine stops while it goes down must not
        # be recorded as stopped by its user.
        if self.manager is not None:
            self.manager.stopping.set()
        steps = []
        if self._lifecycle_events is not None:
            steps += [lambda: self.driver.subscribe(None),
                      self._lifecycle_events.stop]
        if self.runner is not None:
            steps.append(lambda: self.runner.stop(timeout=0))
        steps.append(lambda: console.goodbye(self))
        problems = [self._attempt(step) for step in steps]
        while self._parts:
            problems.append(self._attempt(self._parts.pop()))
        for problem in filter(None, problems):
            raise problem

    @staticmethod
    def _attempt(step):
        """One step of the end; its failure is no reason to leave out those
        that follow, and what users asked for unfinished.
        """
        try:
            step()
        except Exception as error:
            LOG.exception('A part of the service could not be stopped.')
            return error
        return None

    def reload(self):
        """The configuration has changed."""
        if self.runner is not None:
            self.runner.reload()
