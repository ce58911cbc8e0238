"""A conductor: the database's router and monitor, and its RPC server."""

import contextlib
import threading

import oslo_messaging as messaging
from oslo_log import log as logging

from computed import context
from computed import exception
from computed import metrics
from computed import objects
from computed.conductor import manager
from computed.db import cell
from computed.db import engine
from computed.db import routing
from computed.rpc import options
from computed.rpc import transport
from computed.service import notify

LOG = logging.getLogger(__name__)
# Seconds between two attempts to reach the primary at start.
RETRY = 1.0


class ConductorService:
    """What ``computed-conductor`` runs."""

    def __init__(self, conf):
        self.conf = conf
        self._server = None
        self._monitor = None
        self._stopping = threading.Event()

    def start(self):
        """Reach the primary, measure replicas, take calls.

        Waits for as long as the primary or the broker is away.

        :raises computed.exception.ConfigError: a URL is not usable
        :raises computed.exception.SchemaMismatch: it is missing or too old
        """
        metrics.serve('[conductor] metrics_address',
                      self.conf.conductor.metrics_address)
        objects.register_all()
        standalone = options.is_standalone(self.conf)
        urls = engine.urls.from_conf(self.conf, standalone)
        self._transport = transport.make(self.conf)
        router = self._until_possible(
            lambda: self._connect(urls, standalone))
        target = messaging.Target(
            topic=manager.TARGET.topic,
            server=self._transport.server_name(self.conf.host))
        self._until_possible(lambda: self._transport.reach(target))
        if self._stopping.is_set():
            return
        self._monitor = routing.monitor.Monitor(
            router, cell.migration.outdated())
        self._monitor.start()
        self._server = self._transport.server(
            target, [manager.ConductorManager(router.status)])
        self._transport.start(self._server)
        LOG.debug('Conductor ready on %s.', router.primary.name)

    def _until_possible(self, attempt):
        """Call ``attempt`` until what it needs is there, or we are not."""
        said = None
        while not self._stopping.is_set():
            try:
                return attempt()
            except (exception.PrimaryUnavailable,
                    exception.BrokerUnavailable) as error:
                reason = str(error)
            if reason != said:
                LOG.warning('Waiting: %s', reason)
                said = reason
            notify.waiting(reason, 30)
            self._stopping.wait(RETRY)
        return None

    def _connect(self, urls, standalone):
        with cell.migration.reachable(urls.primary):
            if standalone:
                # One host and its own database: nobody else would do it.
                cell.migration.sync(urls.primary)
            cell.migration.check(urls.primary)
        router = routing.router.Router(
            self.conf.database, urls.primary, urls.replicas,
            tolerant_threads=max(
                1, self.conf.executor_thread_pool_size // 2))
        cell.database.cell.configure(
            router, lambda: self.conf.conductor.max_page)
        router.incarnation.database_id = cell.identity.get_id(context.new())
        # A primary that takes no write yet still answers; the heartbeats
        # find out when it does.
        with contextlib.suppress(exception.PrimaryReadOnly,
                                 exception.OutcomeUnknown):
            router.incarnation.adopt(router.observe_incarnation())
        return router

    def stop(self):
        """Answer what is being worked on, then end."""
        self._stopping.set()
        if self._server is not None:
            self._server.stop()
            self._server.wait()
        if self._monitor is not None:
            self._monitor.stop()

    def reload(self):
        """Options are looked up when they are used; nothing to do."""
