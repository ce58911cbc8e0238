"""Calls to hosts."""

import threading
import typing

import oslo_messaging as messaging

from computed import clock
from computed import context as computed_context
from computed import exception
from computed.rpc import errors
from computed.rpc import rabbit_calls
from computed.rpc import serializer
from computed.rpc import tickets
from computed.rpc import transport as rpc_transport

TOPIC = 'compute'
# Seconds that a call has at least, if those before it took all the time.
LEAST = 0.1
# How often work is requested whose request has expired, and the seconds
# between two of these requests. They expire at once if two servers take calls
# from the queue of one host: each knows only the tickets that it issued.
TRIES = 4
PAUSE = 0.25

# The operations that a user can request, by the name of the command.
OPERATIONS = ('build', 'delete', 'restore', 'start', 'stop', 'reboot',
              'pause', 'unpause')


def target(host: str) -> messaging.Target:
    """Return where ``host`` takes calls."""
    return messaging.Target(topic=TOPIC, server=host, version='1.0')


def time_left(last: float) -> float:
    """Return the seconds until ``last``, and at least ``LEAST``.

    :param last: a time of the monotonic clock
    """
    return max(last - clock.monotonic(), LEAST)


class HostAPI:
    """A client that calls methods of any host."""

    def __init__(self, transport: rpc_transport.Transport) -> None:
        self._transport = transport
        self._client = transport.client(
            messaging.Target(topic=TOPIC, version='1.0'),
            serializer=serializer.BackportingSerializer(),
            version_cap=transport.conf.upgrade_levels.compute)
        self._timeout = transport.conf.rpc_response_timeout
        # The servers of each host that was called.
        self._servers: dict[str, rabbit_calls.Servers] = {}

    def _call(self, context: computed_context.RequestContext,
              host: str | None, method: str, timeout: float | None = None,
              **kwargs: object) -> typing.Any:
        if not host:    # without a name, any host would take the call
            raise exception.HostUnavailable(host='(none)')
        missing = exception.HostUnavailable(host=host)
        if host not in self._servers:
            self._servers[host] = self._transport.servers(f'{TOPIC}.{host}')
        client = self._client.prepare(
            server=host, timeout=timeout or self._timeout)
        with errors.translated(missing, method, self._timeout), \
                self._servers[host].reached():
            return client.call(context, method, **kwargs)

    def _act(self, context: computed_context.RequestContext,
             host: str | None, method: str, **kwargs: object) -> typing.Any:
        """Call a method that begins work.

        The host is asked for a ticket first, so it can tell whether the
        request is still wanted when it arrives; see
        :mod:`computed.rpc.tickets`. If one of the two was under way for too
        long, both are repeated a few times, because nothing was done. All of
        it takes no longer than one call may take.

        :raises computed.exception.RequestExpired: each of them expired
        """
        last = clock.monotonic() + self._timeout
        for left in reversed(range(TRIES)):
            try:
                ticket = self._call(context, host, 'get_ticket',
                                    timeout=time_left(last))
            except exception.OutcomeUnknown as error:
                # Only the time was asked for, so nothing was begun.
                raise exception.HostUnavailable(host=host) from error
            seconds = time_left(last)
            try:
                return self._call(
                    context, host, method, timeout=seconds,
                    ticket=tickets.limited(ticket, seconds), **kwargs)
            except exception.RequestExpired:
                if not left or time_left(last) <= PAUSE + LEAST:
                    raise
            threading.Event().wait(PAUSE)
        raise AssertionError        # the last try returns or raises

    def operate(self, context: computed_context.RequestContext,
                host: str | None, operation: str, uuid: str,
                hard: bool = False) -> None:
        """Begin one of ``OPERATIONS``; return once the host has claimed it.

        :param hard: of ``reboot``: kill the guest; of ``delete``: at once,
            so that it cannot be restored
        :raises computed.exception.ComputedError: it cannot be begun
        """
        method = f'{operation}_instance' + ('_hard' if hard else '')
        self._act(context, host, method, uuid=uuid)

    def change_volume(self, context: computed_context.RequestContext,
                      host: str | None, operation: str, uuid: str,
                      volume_id: str) -> None:
        """Begin to attach or detach; return once the host has claimed it.

        :param operation: ``attach`` or ``detach``
        :raises computed.exception.ComputedError: it cannot be begun
        """
        self._act(context, host, f'{operation}_volume', uuid=uuid,
                  volume_id=volume_id)

    def get_console_log(self, context: computed_context.RequestContext,
                        host: str | None, uuid: str, max_bytes: int) -> str:
        """Return the last ``max_bytes`` of an instance's output, as text."""
        return self._call(context, host, 'get_console_log', uuid=uuid,
                          max_bytes=max_bytes)

    def get_guest(self, context: computed_context.RequestContext,
                  host: str | None, uuid: str) -> dict[str, typing.Any]:
        """Return what only the host knows of an instance, by name."""
        return self._call(context, host, 'get_guest', uuid=uuid)

    def list_regressed(self, context: computed_context.RequestContext,
                       host: str | None) -> list[dict[str, str]]:
        """Return ``uuid`` and ``name`` of the instances that are held."""
        return self._call(context, host, 'list_regressed')

    def reconcile(self, context: computed_context.RequestContext,
                  host: str | None, uuid: str, keep_guest: bool) -> None:
        """Decide about a held instance.

        :param keep_guest: False: its record counts
        """
        self._act(context, host, 'reconcile', uuid=uuid,
                  keep_guest=keep_guest)

    def list_tasks(self, context: computed_context.RequestContext,
                   host: str | None) -> list[dict[str, typing.Any]]:
        """Return the periodic tasks of ``host``: see ``Runner.describe``."""
        return self._call(context, host, 'list_tasks')

    def get_task_history(self, context: computed_context.RequestContext,
                         host: str | None, name: str
                         ) -> list[dict[str, typing.Any]]:
        """Return the last runs of a task: see ``Runner.history``."""
        return self._call(context, host, 'get_task_history', name=name)

    def run_task(self, context: computed_context.RequestContext,
                 host: str | None, name: str, accept: int | None = None
                 ) -> dict[str, typing.Any]:
        """Run a task now and wait for it; return the record of the run.

        :param accept: how many repairs above the brake to accept
        """
        return self._act(context, host, 'run_task', name=name,
                         accept=accept)
