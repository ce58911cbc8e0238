"""Which requests a server carries out, and how it answers the others.

A request is checked before anything of it is begun: it must be well formed,
name a method that peers may call, and still be wanted by its caller.
"""

import re
import typing
from collections import abc

import oslo_messaging as messaging
from oslo_log import log as logging

from computed import exception
from computed import metrics
from computed.logs import printable
from computed.logs import seldom
from computed.rpc import endpoint
from computed.rpc import schema
from computed.rpc import tickets

LOG = logging.getLogger(__name__)

VERSION = re.compile(r'\d{1,9}(\.\d{1,9})*')


class Dispatcher(messaging.RPCDispatcher):
    """Carries out requests of peers.

    Whatever it raises is an ``ExpectedException``: the answer to the caller,
    without a traceback.
    """

    def __init__(self, endpoints: abc.Sequence[typing.Any],
                 serializer: messaging.Serializer) -> None:
        self._tickets = tickets.TicketEndpoint()
        super().__init__([*endpoints, self._tickets], serializer,
                         messaging.ExplicitRPCAccessPolicy)
        self._seldom = seldom.Seldom(LOG)

    def dispatch(self, incoming: typing.Any) -> typing.Any:
        """Carry out a request; return what its method returns.

        :param incoming: the library's message; the drivers here add to it
            ``is_given_up()``, which tells whether nobody waits for the answer
        """
        name = printable.short(incoming.message.get('method'))
        try:
            method = self._find(incoming)
            self._ensure_wanted(name, incoming, method)
            return super().dispatch(incoming)
        except messaging.ExpectedException as expected:
            self._count(expected.exc_info[1], name)
            raise
        except exception.ComputedError as error:
            self._count(error, name)
            raise endpoint.answer(error) from None
        except Exception as error:
            # The text may have an SQL statement, and what users wrote in it.
            kind = type(error).__name__
            self._seldom.fault('The call of %s failed.', name,
                               kind=f'{name} {kind}')
            raise endpoint.answer(exception.PeerFailed(
                method=name, error=kind)) from None

    def _count(self, error: object, name: str) -> None:
        """Count and log a request that was not carried out."""
        if isinstance(error, exception.BadRequest):
            metrics.rpc_requests_refused.inc()
            self._seldom.warn('Refused a request: %s', error)
        elif isinstance(error, exception.RequestExpired):
            metrics.rpc_requests_expired.labels(name).inc()
            self._seldom.warn('Dropped a request: %s', error)

    def _find(self, incoming: typing.Any) -> typing.Any:
        """Return the method that a request names.

        :raises computed.exception.BadRequest: there is none
        """
        message = incoming.message
        name, version = message.get('method'), message.get('version', '1.0')
        namespace = message.get('namespace')
        for problem, right in (
                ('the method is not a name', isinstance(name, str)),
                ('the arguments have no names',
                 isinstance(message.get('args', {}), dict)),
                ('the version is not a number', isinstance(version, str) and
                 VERSION.fullmatch(version)),
                ('the namespace is not a name',
                 isinstance(namespace, str | None)),
                ('the timeout is not a number',
                 incoming.client_timeout is None or
                 tickets.is_number(incoming.client_timeout))):
            if not right:
                raise exception.BadRequest(
                    method=printable.short(name), problem=problem)
        found = [one for one in self.endpoints
                 if self._is_namespace(one.target, namespace) and
                 self._is_compatible(one.target, version)]
        for one in found:
            if self.access_policy.is_allowed(one, name):
                return getattr(one, name)
        raise exception.BadRequest(
            method=printable.short(name),
            problem='there is no such method' if found else
            f'version {version} is not supported')

    def _ensure_wanted(self, name: str, incoming: typing.Any,
                       method: typing.Any) -> None:
        """Check that the caller still waits.

        :raises computed.exception.RequestExpired: it does not
        """
        is_given_up = getattr(incoming, 'is_given_up', None)
        if is_given_up is not None and is_given_up():
            raise exception.RequestExpired(method=name)
        if getattr(method, 'needs_ticket', False):
            self._tickets.check(
                incoming.message.get('args', {}).get(tickets.ARGUMENT), name)

    def _do_dispatch(self, owner: typing.Any, method: str,
                     ctxt: typing.Any, args: dict[str, typing.Any]
                     ) -> typing.Any:
        """Call a method of ``owner``; the library's own step.

        It is here so that what cannot be read is the fault of the peer.
        """
        function = getattr(owner, method)
        schema.ensure_text(method, ctxt)
        schema.ensure_plain(method, args)
        try:
            context = self.serializer.deserialize_context(ctxt)
            if getattr(function, 'needs_ticket', False):
                context.wanted_until = self._tickets.ends(
                    args[tickets.ARGUMENT])
            values = {name: self.serializer.deserialize_entity(context, value)
                      for name, value in args.items()
                      if name != tickets.ARGUMENT}
        except exception.ComputedError:
            raise
        except Exception as error:      # of any type, as the peer likes
            raise exception.BadRequest(
                method=method, problem=printable.one_line(error)) from None
        schema.check(method, function, 1, kwargs=values)
        return self.serializer.serialize_entity(
            context, function(context, **values))
