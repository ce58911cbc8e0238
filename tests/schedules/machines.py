"""Machines with their daemons, and conductors: the product's own services.

They get a transport, a connection to the database, a driver and a lock from
here.
"""

import errno
import os
import shutil

from oslo_config import cfg
from oslo_messaging import conffixture

from computed import chance
from computed import clock
from computed import conf as computed_conf
from computed import exception
from computed import states
from computed.db.engine import urls
from computed.rpc import options as rpc_options
from computed.service import conductor as conductor_service
from computed.service import host as host_service
from computed.service import state_lock
from computed.service import surroundings
from computed.virt import memory_guests
from tests.schedules import driver
from tests.schedules import hub
from tests.schedules import storage
from tests.schedules import wishes

# Shorter than usual, so that much happens in a minute.
OPTIONS = {
    None: {'rpc_response_timeout': 10, 'report_interval': 5,
           'service_down_time': 20, 'periodic_fuzzy_delay': 5,
           'periodic_workers': 2, 'operation_workers': 3},
    'tasks': {'sync_power_state_interval': 20, 'bandwidth_poll_interval': 0,
              'instance_delete_interval': wishes.RETRY,
              'maximum_instance_delete_attempts': 3,
              'running_deleted_instance_poll_interval': 10,
              'scheduler_instance_sync_interval': 20,
              'update_resources_interval': 30, 'max_repairs_per_pass': 100,
              'reclaim_poll_interval': 5, 'usage_audit_poll_interval': 5,
              'reclaim_instance_interval': wishes.KEPT,
              'build_time_check_interval': 10,
              'instance_build_timeout': wishes.BUILD_LIMIT,
              'rebooting_poll_interval': 10, 'reboot_timeout': 12},
    'virt': {'stopped_event_delay': 5.0, 'shutdown_timeout': 10,
             'driver_call_timeout': 10.0},
    'database': {'replica_heartbeat_interval': 4.0,
                 'replica_probe_interval': 4.0, 'max_replica_lag': 10.0,
                 'replica_good_samples': 2, 'replica_ramp': 0.0,
                 'resync_window': 10.0},
}
# Seconds after which systemd starts a service that has ended.
RESTART = 10
_confs = {}


def make_conf(name, state_path, cluster=None):
    """Return a configuration; one of a name is used again by the next life.

    To make one takes 20 ms.
    """
    conf = _confs.get(name)
    if conf is None:
        conf = _confs[name] = cfg.ConfigOpts()
        computed_conf.register_opts(conf)
        rpc_options.register_opts(conf)
        urls.register_opts(conf)
        conffixture.ConfFixture(conf, transport_url='unix:///nowhere')
        conf(['--state-path', '/nowhere'], default_config_files=[])
        for group, values in OPTIONS.items():
            for option, value in values.items():
                conf.set_override(option, value, group)
    conf.set_override('host', name.partition('@')[0])
    conf.set_override('state_path', state_path)
    if cluster is not None:
        conf.set_override('connection', cluster.url, 'database')
        conf.set_override('replica_connections', cluster.replica_urls,
                          'database')
    return conf


def at_file(step, path):
    """Stand between the steps of a write of our code."""
    here = hub.running
    if here is None or here.current is None:
        return
    machine = here.current.process.machine
    if step == 'before write' and machine is not None and (
            machine.disk_full and os.path.exists(f'{path}.tmp')):
        # The blocks of the reserve are allocated; a new file gets none.
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
    if step == 'after rename':
        # Our code compares the age of a file with the clock of the machine.
        os.utime(path, (clock.time(), clock.time()))
    if step in ('after rename', 'after unlink'):
        here.point()


class Guests(memory_guests.Guests):
    """The guests of a machine; the judge sees how they change."""

    def __init__(self, rows):
        super().__init__()
        self._rows = rows

    def put(self, info):
        self._note(info.uuid)
        return super().put(info)

    def remove(self, uuid):
        self._note(uuid)
        super().remove(uuid)

    def _note(self, uuid):
        found = self.infos.get(uuid)
        self._rows.had(uuid, found.power_state if found else states.NOSTATE)


class Machine:
    """A host: its disk and its guests, which outlive its daemon.

    :ivar lives: how often its daemon was started
    :ivar ready: whether the daemon has started
    :ivar knows: whether its state path says which database is its own
    :ivar may_be_down: its daemon may be refused: it is a copy, or has one
    """

    def __init__(self, cell, name, host, is_copy=False):
        """:param is_copy: another machine has the name of this host"""
        self.cell, self.name, self.host = cell, name, host
        self.state_path = os.path.join(cell.folder, f'state-{name}')
        self.guests = Guests(cell.rows)
        self.driver = self.process = self.service = None
        self.lives, self.wall = 0, 0.0
        self.ready, self.may_be_down = False, is_copy
        self.knows = False
        self.disk_full = False
        self._comes_back = False
        self.new_boot()

    def new_boot(self):
        """The machine itself starts."""
        self._boot = os.path.join(self.cell.folder,
                                  f'boot-{self.name}-{self.lives}')
        with open(self._boot, 'w', encoding='ascii') as stream:
            stream.write(chance.uuid())

    @property
    def alive(self):
        return self.process is not None and self.process.alive

    def start(self):
        """Start the daemon."""
        self.lives += 1
        self.ready = False
        process = self.process = self.cell.process(
            f'{self.name}.{self.lives}', self)
        process.wall, process.locks = self.wall, []
        conf = make_conf(f'{self.host}@{self.name}', self.state_path)
        conf.set_override(
            'volume_usage_poll_interval',
            storage.INTERVAL if self.cell.storage else 0, 'tasks')
        conf.set_override('instance_usage_audit',
                          self.cell.consumers is not None, 'tasks')
        service = self.service = host_service.HostService(
            conf,
            surroundings=self._surroundings(process))
        service.end = lambda failure=None: self._end(process, failure)
        hub.running.spawn(process, self._run, process, name='start')

    def _surroundings(self, process):
        def locked(state_path):
            found = state_lock.take(state_path)
            process.locks.append(found)
            return found
        return surroundings.Surroundings(
            make_transport=self.cell.transport, lock=locked,
            waiting=lambda text, seconds: None, boot_id_path=self._boot,
            load_tasks=lambda conf, builtin: builtin,
            load_driver=lambda conf: driver.Driver,
            hello=lambda *arguments: None, goodbye=lambda *arguments: None)

    def _run(self, process):
        here = hub.running
        try:
            self.service.start()
        except exception.ComputedError as error:
            here.tell(f'{process} refuses to start: {error}')
            self._gone(process)
        else:
            self.ready = self.knows = True
            here.tell(f'{process} is ready')

    def _end(self, process, failure):
        hub.running.tell(f'{process} ends: {failure}')

        def stop():
            try:
                self.service.stop()
            finally:
                self._gone(process)
        hub.running.spawn(process, stop, name='stop')

    def _gone(self, process):
        self._kill(process)
        self.start_in(RESTART)

    @staticmethod
    def _kill(process):
        process.kill()
        while process.locks:
            process.locks.pop().close()

    def start_in(self, seconds):
        """Start the daemon in so many seconds, unless it runs then."""
        if self._comes_back:
            return
        self._comes_back = True

        def again():
            self._comes_back = False
            if not self.alive:
                self.start()
        hub.running.after(seconds, again)

    def crash(self):
        """The daemon dies as by SIGKILL."""
        if self.alive:
            hub.running.tell(f'{self.process} crashes')
            self._kill(self.process)
            self.cell.judge.crashed(self.name)

    def lose_state(self):
        """The daemon dies, and all that it has on its disk is lost."""
        self.crash()
        shutil.rmtree(self.state_path)
        self.knows = False
        hub.running.tell(f'the state path of {self.name} is lost')
        self.cell.judge.forgets(self)
        self.cell.rows.forgets(self.name)


class Conductor:
    """A conductor, which runs the queries."""

    def __init__(self, cell, name):
        self.cell, self.name, self.lives = cell, name, 0
        self.process, self.wall = None, 0.0

    def start(self):
        self.lives += 1
        cell = self.cell
        self.process = cell.process(f'{self.name}.{self.lives}')
        self.process.wall = self.wall
        service = conductor_service.ConductorService(
            make_conf(self.name, cell.folder, cell.cluster),
            surroundings.Surroundings(
                make_transport=cell.transport, connect=cell.connect,
                make_channel=cell.consumers.channel if cell.consumers
                else lambda conf, publisher: None,
                waiting=lambda text, seconds: None))
        hub.running.spawn(self.process, service.start, name='start')

    def start_in(self, seconds):
        def again():
            if not self.process.alive:
                self.start()
        hub.running.after(seconds, again)

    def crash(self):
        if self.process.alive:
            hub.running.tell(f'{self.process} crashes')
            self.process.kill()
