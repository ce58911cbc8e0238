import types

import pytest

from computed.db.engine import primary_check


class Connection:
    """A connection of a driver."""


class Site:
    """An engine whose server gives ``answer``."""

    def __init__(self):
        self.answer = 'db1', 1
        self.pinged = []
        self.engine = types.SimpleNamespace(dialect=types.SimpleNamespace(
            name='mysql', do_ping=lambda one: self.pinged.append(one) or True))
        self.check = primary_check.PrimaryCheck(
            self.engine, lambda connection, question: self.answer)

    def usable(self, connection):
        return self.engine.dialect.do_ping(connection)


@pytest.fixture
def site():
    return Site()


@pytest.mark.parametrize('answer, usable', [
    (('db1', 1), True), (('db1', True), True),
    (('db1', 0), False), (('db1', None), False),
    (('db2', 1), False)])       # behind a proxy that moves open sessions
def test_a_connection_is_used_while_its_server_is_the_primary(
        site, answer, usable):
    connection = Connection()
    assert site.check.connected(connection) == ('db1', True)
    site.answer = answer
    assert site.usable(connection) is usable


def test_a_new_connection_tells_that_its_server_is_read_only(site):
    site.answer = 'db1', 0
    assert site.check.connected(Connection()) == ('db1', False)


def test_a_node_of_galera_is_only_pinged(site):
    connection = Connection()
    site.answer = None
    assert site.usable(connection)
    assert site.pinged == [connection]
