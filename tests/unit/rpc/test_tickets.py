"""A ticket tells how old a request can be, on the clock of its server."""

import pytest

from computed import clock
from computed import exception
from computed.rpc import tickets


class Standing:
    """A clock that a test sets."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now

    def time(self):
        return 0.0


@pytest.fixture
def standing():
    found, before = Standing(), clock._source
    clock.use(found)
    yield found
    clock.use(before)


@pytest.fixture
def issuer():
    return tickets.TicketEndpoint()


def test_a_request_is_wanted_while_its_caller_waits(standing, issuer):
    ticket = tickets.limited(issuer.get_ticket(None), 10)
    for seconds in (0, 9, 1):
        standing.now += seconds
        issuer.check(ticket, 'stop')
    standing.now += 0.001
    with pytest.raises(exception.RequestExpired, match='stop'):
        issuer.check(ticket, 'stop')


def test_the_ticket_of_a_former_life_is_not_valid(standing, issuer):
    ticket = tickets.limited(
        tickets.TicketEndpoint().get_ticket(None), 10)
    with pytest.raises(exception.RequestExpired):
        issuer.check(ticket, 'stop')


def test_nor_one_from_the_time_to_come(standing, issuer):
    ticket = tickets.limited(issuer.get_ticket(None), 10)
    standing.now -= 1
    with pytest.raises(exception.RequestExpired):
        issuer.check(ticket, 'stop')


@pytest.mark.parametrize('ticket', [
    None, 'x', [], {}, {'issued': 1}, {'issued': 'x', 'valid_for': 1},
    {'issued': True, 'valid_for': 1}, {'issued': 1, 'valid_for': None},
    {'issued': 1, 'valid_for': float('inf')},
    {'issued': float('nan'), 'valid_for': 1}])
def test_what_is_no_ticket_is_refused(issuer, ticket):
    with pytest.raises(exception.BadRequest, match='no ticket'):
        issuer.check(ticket, 'stop')
