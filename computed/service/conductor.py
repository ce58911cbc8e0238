"""A conductor: the database's router and monitor, and its RPC server."""

import contextlib
import functools
import logging as stdlib_logging
import os
import typing
from collections import abc

import oslo_messaging as messaging
from oslo_config import cfg
from oslo_log import log as logging

from computed import context
from computed import exception
from computed import metrics
from computed import objects
from computed.claims import belonging
from computed.conductor import manager
from computed.conductor import purger
from computed.db import cell
from computed.db import engine
from computed.db import routing
from computed.notifications import notification
from computed.notifications import outbox
from computed.rpc import options
from computed.service import clock_keeper
from computed.service import mainloop
from computed.service import metrics_server
from computed.service import parts
from computed.service import surroundings as surroundings_module

LOG = logging.getLogger(__name__)
Result = typing.TypeVar('Result')
# Seconds between two attempts to reach the primary at start.
RETRY = 1.0


def _says_it_itself(record: stdlib_logging.LogRecord) -> bool:
    """Return whether a line is none about URLs that :meth:`reload` uses.

    For the library no change of them has an effect.
    """
    return not (isinstance(record.args, dict) and
                record.args.get('group') == 'database' and
                record.args.get('option') in engine.urls.OPTIONS)


class ConductorService:
    """The service that the program ``computed-conductor`` runs."""

    def __init__(self, conf: cfg.ConfigOpts,
                 surroundings: surroundings_module.Surroundings | None = None
                 ) -> None:
        """:param surroundings: None: those of this machine"""
        self.conf = conf
        self._around = surroundings or surroundings_module.Surroundings()
        self._urls: engine.urls.Urls | None = None
        self._router: routing.router.Router | None = None
        self._parts = parts.Parts()
        self._room: engine.sqlite_room.Room | None = None

    def start(self) -> None:
        """Reach the primary, measure replicas, take calls.

        It waits as long as the primary or the broker is away. It returns
        before that if :meth:`stop` is called.

        :raises computed.exception.ConfigError: a URL is not usable
        :raises computed.exception.SchemaMismatch: the schema is missing or
            too old
        :raises computed.exception.DatabaseDamaged: waiting would not help
        """
        with contextlib.suppress(parts.Ended):
            self._start()

    def _start(self) -> None:
        self._parts.ends_with(functools.partial(
            metrics.use, metrics.use(self._around.metrics)))
        self._parts.ends_with(metrics_server.serve(
            self._around.metrics, self.conf, 'conductor'))
        objects.register_all()
        stdlib_logging.getLogger(cfg.__name__).addFilter(_says_it_itself)
        standalone = options.is_standalone(self.conf)
        self._announce()
        self._urls = engine.urls.from_conf(self.conf, standalone)
        transport = self._around.make_transport(self.conf)
        router = self._until_possible(
            lambda: self._connect(self._urls, standalone))
        target = messaging.Target(
            topic=manager.TARGET.topic,
            server=transport.server_name(self.conf.host))
        self._until_possible(lambda: transport.reach(target))
        monitor = routing.monitor.Monitor(
            router, cell.migration.outdated())
        monitor.start()
        self._parts.ends_with(monitor.stop)
        keeper = clock_keeper.Keeper()
        keeper.start()
        self._parts.ends_with(keeper.stop)
        old = purger.Purger(self.conf)
        old.start()
        self._parts.ends_with(old.stop)
        server = transport.server(
            target, [manager.ConductorManager(router.status)])
        self._parts.check()
        transport.start(server)
        self._parts.ends_with(server.finish, server.stop)
        LOG.debug('Conductor ready on %s.', router.primary.name)

    def _announce(self) -> None:
        """Tell consumers what is done, if they are configured."""
        channel = self._around.make_channel(
            self.conf, f'conductor:{self.conf.host}')
        if channel is None:
            return
        box = outbox.Outbox(channel, self.conf.notifications.queue_size)
        box.start()
        self._parts.ends_with(box.stop)
        cell.database.cell.announce = functools.partial(
            box.tell, notification.made)
        cell.database.cell.deliver = functools.partial(
            box.deliver, notification.of_fact)
        for name in ('announce', 'deliver'):
            self._parts.ends_with(functools.partial(
                setattr, cell.database.cell, name, None))

    def _until_possible(self, attempt: abc.Callable[[], Result]) -> Result:
        """Call ``attempt`` until the primary and the broker answer.

        :raises computed.service.parts.Ended: the service is stopping
        """
        def waiting(error: Exception) -> float:
            if isinstance(error, exception.DatabaseDamaged):
                raise error
            self._around.waiting(str(error), 30)
            return RETRY
        return self._parts.until_possible(
            attempt, (exception.PrimaryUnavailable, exception.PrimaryReadOnly,
                      exception.DatabaseFailed, exception.WriteConflict,
                      exception.BrokerUnavailable), waiting)

    def _connect(self, urls: engine.urls.Urls, standalone: bool
                 ) -> routing.router.Router:
        with cell.migration.reachable(urls.primary):
            if standalone:
                self._refuse_lost(urls.primary)
                # One host with its own database: no operator upgrades it.
                cell.migration.sync(urls.primary, wait=20)
                self._keep_room(urls.primary)
            cell.migration.check(urls.primary)
        # Once: its pools, and what it has told of an outage, are kept.
        router = self._router = self._router or routing.router.Router(
            self.conf.database, urls.primary, urls.replicas,
            tolerant_threads=max(
                1, self.conf.executor_thread_pool_size // 2),
            creator=self._around.connect)
        cell.database.cell.configure(
            router, lambda: self.conf.conductor.max_page,
            functools.partial(self._down_after, standalone),
            lambda: self.conf.service_down_time)
        # An attempt that failed may have known another one.
        router.incarnation.database_id = ''
        router.incarnation.database_id = cell.database.get_id(context.new())
        # Whether it was written does not matter: heartbeats find it out.
        with contextlib.suppress(exception.PrimaryReadOnly):
            router.incarnation.adopt(router.observe_incarnation())
        return router

    def _refuse_lost(self, url: str) -> None:
        """Make no new database where the one of this host is gone.

        :raises computed.exception.ConfigError: it is gone
        """
        problem, state_path = (cell.migration.absence(url),
                               os.path.abspath(self.conf.state_path))
        known = belonging.known(state_path) if problem else None
        if problem and known:
            raise belonging.lost(engine.address.show(url), problem, known,
                                 state_path)

    def _keep_room(self, url: str) -> None:
        """Keep room in the database for changes on a full disk."""
        if self._room is None:
            self._room = engine.sqlite_room.Room(url)
            self._parts.ends_with(self._room.close)

    def _down_after(self, standalone: bool) -> float:
        """Return after how many seconds of silence a host may be taken."""
        # The database is in the state path, which the daemon has locked: no
        # other service can be alive. Nobody counts while the daemon is off.
        if standalone and not self.conf.database.connection:
            return 0.0
        return self.conf.service_down_time

    def stop(self) -> None:
        """Answer the calls that are being worked on, then end."""
        self._parts.end()

    def reload(self) -> None:
        """Use the users and passwords that the URLs of databases have now.

        All other options are looked up when they are used.
        """
        fresh = mainloop.read_again(self.conf)
        engine.urls.register_opts(fresh)
        if self._urls is None or not fresh.database.connection:
            return      # it does not run yet, or has a file of its own
        urls = engine.urls.from_conf(fresh, options.is_standalone(fresh),
                                     make=False)
        if urls == self._urls:
            return
        if self._router is None:
            self._urls = urls
        elif self._router.use_passwords(urls.primary, urls.replicas):
            self._urls = urls
            LOG.info('New connections use the present users and passwords of '
                     '[database] connection and replica_connections.')
        else:
            LOG.warning('[database] connection or replica_connections name '
                        'other servers now. They are used after a restart.')
