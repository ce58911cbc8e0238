"""Report to the database that this host is alive, and how its tasks run."""

import json
import threading
import typing
from collections import abc

from oslo_config import cfg
from oslo_log import log as logging

from computed import concurrency
from computed import context
from computed import exception
from computed.claims import claims as claims_module
from computed.claims import recovery
from computed.logs import outage
from computed.logs import seldom
from computed.objects import host as host_obj
from computed.service import identity as identity_module

LOG = logging.getLogger(__name__)


class Heartbeat:
    """A thread that reports every ``report_interval`` seconds.

    :ivar replays: whether it also records what ended while the primary was
        away. A service that starts must first know that the guests here
        belong to this database.
    """

    replays = True

    def __init__(self, conf: cfg.ConfigOpts,
                 identity: identity_module.Identity,
                 claims: claims_module.Claims,
                 digest: abc.Callable[[], typing.Any],
                 register: abc.Callable[[], object],
                 on_taken: abc.Callable[[Exception], object]) -> None:
        """:param digest: returns what to report of the tasks; JSON-able
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
        self._silence = outage.Outage(
            'This host cannot be reported as alive',
            'This host could not be reported as alive for {seconds}',
            'This host is reported as alive again after {seconds}.')
        self._lines = seldom.Seldom(LOG)
        self._thread = concurrency.thread('heartbeat', self._run)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.beat()
            self._stopping.wait(self._conf.report_interval)

    def beat(self) -> None:
        """Report once; tell of failures, and of their end."""
        try:
            seen = self._claims.seen
            shown = host_obj.Service.report(
                context.new(), self._conf.host, self._identity.service_id,
                self._identity.boot_id, json.dumps(self._digest()),
                seen.seen())
            seen.note(shown['incarnation'], shown['seconds'])
            ours = shown['ours']
            lost = None if ours else self._registered_again()
        except exception.ComputedError as error:
            # When this service ends, its conductor may have ended first.
            if not self._stopping.is_set():
                self._silence.lasts(str(error))
            return
        except Exception:       # the next report may succeed
            LOG.exception('The heartbeat failed.')
            return
        self._silence.ends()
        self._claims.registration.holds = ours or lost is None
        if lost is None:
            if self.replays:
                self._replay()
        elif isinstance(lost, exception.HostLost):
            self._on_taken(lost)

    def _registered_again(self) -> exception.ComputedError | None:
        """Register this run again; return why it cannot be, or None.

        A failover may have lost the registration. Then the row names an
        earlier run of this service, and nothing reports in its name.

        :returns: HostLost: another run has the host. HostNotSilent: it is
            not known yet whether that run is alive. Until the next heartbeat
            tells, nothing is done.
        """
        self._claims.registration.holds = False
        try:
            self._register()
        except (exception.HostNotSilent, exception.HostTaken) as error:
            other = error.kwargs['service']
            alive = isinstance(error, exception.HostTaken |
                               exception.HostCopied)
            if alive or other != self._identity.service_id:
                return exception.HostLost(host=self._conf.host, service=other)
            LOG.warning('This service does nothing until its registration is '
                        'clear: %s', error)
            return error
        LOG.warning('The database had lost the registration of this '
                    'service. It is registered again.')
        return None

    def _replay(self) -> None:
        """Record what ended while the primary was away."""
        try:
            recovery.replay(self._claims, context.new())
        except exception.ComputedError as error:
            self._lines.warn('The ends of some operations are not recorded '
                             'yet: %s', error)
        except Exception:       # the next report may succeed
            LOG.exception('The ends of operations cannot be recorded.')
