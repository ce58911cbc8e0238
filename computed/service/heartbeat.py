"""Says to the database that this host lives, and what of its tasks."""

import json
import threading

from oslo_log import log as logging

from computed import context
from computed import exception
from computed.claims import recovery
from computed.objects import host as host_obj

LOG = logging.getLogger(__name__)


class Heartbeat:
    """A thread that reports every ``report_interval`` seconds."""

    def __init__(self, conf, identity, claims, digest, register, on_taken):
        """:param digest: callable, what rides along; JSON-able
        :param register: takes the host for this service
        :param on_taken: called with the error once another service has
            taken the host over
        """
        self._conf = conf
        self._identity = identity
        self._claims = claims
        self._digest = digest
        self._register = register
        self._on_taken = on_taken
        self._stopping = threading.Event()
        self._silent = False
        # Another life of this service that the host was found with.
        self._other = None
        self._thread = threading.Thread(target=self._run, daemon=True,
                                        name='heartbeat')

    def start(self):
        self._thread.start()

    def stop(self):
        self._stopping.set()
        self._thread.join()

    def _run(self):
        while not self._stopping.is_set():
            self.beat()
            self._stopping.wait(self._conf.report_interval)

    def beat(self):
        """Report once; trouble is said once, and so is its end."""
        try:
            ours = host_obj.Service.report(
                context.new(), self._conf.host, self._identity.service_id,
                self._identity.boot_id, json.dumps(self._digest()))
            taken = None if ours else self._taken()
        except exception.ComputedError as error:
            problem = error
        except Exception:       # the next one may succeed
            LOG.exception('The heartbeat failed.')
            return
        else:
            problem = None
        if problem is not None:
            # At the end its conductor may well have gone first.
            if not self._silent and not self._stopping.is_set():
                LOG.warning('This host cannot be reported as alive: %s',
                            problem)
            self._silent = True
            return
        if self._silent:
            LOG.info('This host is reported as alive again.')
            self._silent = False
        if ours:
            self._other = None
        if taken:
            self._on_taken(taken)
        self._replay()

    def _taken(self):
        """Why the host is ours no more; None if it is, after all.

        A failover may have lost that it was registered. Then the row is of
        an earlier life of this service, and nobody reports in its name.
        """
        try:
            found = host_obj.Service.get_by_host(
                context.new(), self._conf.host, use_slave=False)
        except exception.HostNotFound:
            found = None
        other = found and (found.boot_id, found.last_seen)
        if found and (found.service_id != self._identity.service_id or
                      self._other not in (None, other)):
            return exception.ComputedError(
                f'Host {self._conf.host} belongs to another service now; '
                'this one ends. Give it another [DEFAULT] host.')
        if other == self._other:
            try:
                self._register()
            except exception.HostTaken as error:
                return error
            LOG.warning('The database had lost that this service has the '
                        'host; it is registered again.')
        self._other = other
        return None

    def _replay(self):
        """Tell what could not be told while the primary was away."""
        try:
            recovery.replay(self._claims, context.new())
        except exception.ComputedError as error:
            LOG.warning('Some ends of operations are not recorded yet: %s',
                        error)
        except Exception:       # the next one may succeed
            LOG.exception('The ends of operations cannot be recorded.')
