"""Register this run of the service for its host, and judge a refusal."""

import typing

from oslo_config import cfg

import computed
from computed import context
from computed import exception
from computed.db import witness
from computed.objects import host as host_obj
from computed.service import identity as identity_module


def judged(refusal: exception.HostNotSilent, service_id: str,
           before: str | None) -> exception.ComputedError:
    """Return what a refused registration means. Pure.

    :param refusal: its ``sign`` changes with each heartbeat of the other run
    :param service_id: that of this service
    :param before: the sign in an earlier refusal; None: this is the first
    :returns: HostTaken, which ends this service: another service is alive.
        HostCopied, which waits: another run of this service is alive. Or
        ``refusal``, which waits: the other run may have ended.
    """
    alive = before not in (None, refusal.kwargs['sign'])
    if not alive:
        return refusal
    kind = (exception.HostCopied if refusal.kwargs['service'] == service_id
            else exception.HostTaken)
    return kind(**refusal.kwargs)


class Registrar:
    """Registers this run, as often as it is asked to.

    :ivar place: device and inode of the lock that this run holds
    :ivar database_id: the only database to register with; None: any
    """

    def __init__(self, conf: cfg.ConfigOpts,
                 identity: identity_module.Identity, place: str,
                 seen: witness.Witness | None = None) -> None:
        """:param seen: what this host has seen of the database"""
        self._conf = conf
        self._seen = seen or witness.Witness()
        self._identity = identity
        self._place = place
        self._sign: str | None = None
        self.database_id: str | None = None

    def register(self) -> dict[str, typing.Any]:
        """Register this run; see ``Service.register``.

        :raises computed.exception.ComputedError: see :func:`judged`
        """
        mine = self._identity
        try:
            found = host_obj.Service.register(
                context.new(), self._conf.host, mine.service_id,
                mine.boot_id, mine.host_boot_id, computed.__version__,
                self._place, mine.began, self._seen.seen(),
                self.database_id)
        except exception.HostNotSilent as refusal:
            error = judged(refusal, mine.service_id, self._sign)
            self._sign = refusal.kwargs['sign']
            raise error from None
        self._sign = None
        self.database_id = found['database_id']
        self._seen.note(found['incarnation'], found['seconds'])
        return found
