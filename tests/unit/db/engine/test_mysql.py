import types

import pytest

from computed.db.engine import deadline
from computed.db.engine import mysql


class Cursor:
    """A cursor of a server that shows ``row`` for the Galera cluster."""

    def __init__(self, row):
        self.row = row
        self.executed = []

    def execute(self, statement):
        self.executed.append(statement)

    def fetchone(self):
        return self.row


@pytest.mark.parametrize('row, cluster', [
    (None, None),                                       # MySQL
    (('wsrep_cluster_state_uuid', ''), None),           # MariaDB
    (('wsrep_cluster_state_uuid', 'c'), 'c')])          # Galera
def test_only_a_strict_connection_to_galera_waits_for_others(row, cluster):
    for strict in (False, True):
        cursor = Cursor(row)
        assert mysql.tune_connection(cursor, strict) == cluster
        assert mysql.GIVE_WAY in cursor.executed
        assert (mysql.WAIT_FOR_OTHERS in cursor.executed) is (
            strict and cluster is not None)


def test_no_connection_is_made_after_the_deadline():
    library = types.SimpleNamespace(OperationalError=ZeroDivisionError)
    dialect = types.SimpleNamespace(loaded_dbapi=library)
    with deadline.within(60):
        mysql._refuse_after_deadline(dialect, None, (), {})
    with deadline.within(-1), pytest.raises(ZeroDivisionError) as refused:
        mysql._refuse_after_deadline(dialect, None, (), {})
    assert refused.value.args == (2013, deadline.TIME_IS_OVER)
