"""Tickets: how a server knows that work is still wanted.

A request can reach its server long after its caller gave it up, because the
server slept, or because the broker or the network kept it. The request itself
cannot tell its age, because the clocks of two machines differ. So a caller
that wants work to begin first asks the server for a ticket, which says the
time on the server's own clock, and sends it with the request. A request is
younger than its ticket. If the ticket is older than the time that the caller
waits, the request is refused; the caller may repeat it.
"""

import sys
import typing

import oslo_messaging as messaging

from computed import chance
from computed import clock
from computed import context as computed_context
from computed import exception
from computed.rpc import endpoint

# The argument in which a request carries its ticket.
ARGUMENT = 'ticket'
Ticket = dict[str, typing.Any]


def limited(ticket: Ticket, seconds: float) -> Ticket:
    """Return ``ticket`` for a request whose caller waits ``seconds``."""
    return {**ticket, 'valid_for': seconds}


class TicketEndpoint:
    """Issues and checks the tickets of one server."""

    target = messaging.Target(version='1.0')

    def __init__(self) -> None:
        # A ticket of a former life, or of another server of the same name, is
        # refused: its time is not the time of this clock.
        self._issuer = chance.uuid()

    @endpoint.exposed
    def get_ticket(self, context: computed_context.RequestContext) -> Ticket:
        """Return a ticket for a request that follows at once."""
        return {'issuer': self._issuer, 'issued': clock.monotonic()}

    @staticmethod
    def ends(ticket: Ticket) -> float:
        """Return when a ticket that was checked ends, on this clock."""
        return ticket['issued'] + ticket['valid_for']

    def check(self, ticket: object, method: str) -> None:
        """Check that a request is still wanted.

        :param method: what the request wants, for the error text
        :raises computed.exception.BadRequest: this is not a ticket
        :raises computed.exception.RequestExpired: its time is up, or another
            server issued it
        """
        found = ticket if isinstance(ticket, dict) else {}
        issued, seconds = found.get('issued'), found.get('valid_for')
        if not (is_number(issued) and is_number(seconds)):
            raise exception.BadRequest(method=method,
                                       problem='it has no ticket')
        age = clock.monotonic() - issued
        if found.get('issuer') != self._issuer or not 0 <= age <= seconds:
            raise exception.RequestExpired(method=method)


def is_number(value: object) -> typing.TypeGuard[float]:
    """Return whether ``value`` is a finite number of a usual size."""
    return (isinstance(value, int | float) and not isinstance(value, bool)
            and abs(value) <= sys.float_info.max)
