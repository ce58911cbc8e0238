import sqlite3

import pymysql
import pytest
import sqlalchemy as sa
from oslo_db import exception as db_exc

from computed.db.engine import errors


class DriverError(Exception):
    sqlstate = '40001'


def wrapped(error):
    return db_exc.DBError(sa.exc.OperationalError(
        'UPDATE x', {'secret': 'of a user'}, error))


def test_the_sqlstate_is_found_below_each_wrapper():
    assert errors.sqlstate(DriverError()) == '40001'
    assert errors.sqlstate(wrapped(DriverError())) == '40001'


def test_an_engine_without_sqlstates_has_none():
    assert errors.sqlstate(wrapped(sqlite3.OperationalError('locked'))) is None


def test_a_message_has_neither_statement_nor_parameters():
    text = errors.message(wrapped(DriverError('serialization failure')))
    assert text == 'serialization failure'


@pytest.mark.parametrize('error, problem', [
    (wrapped(pymysql.err.OperationalError(1040, 'Too many connections')),
     'Too many connections (1040)'),
    (wrapped(DriverError('FATAL: no such role.\n  More of it.\n')),
     'FATAL: no such role'),
    (db_exc.DBConnectionError(ConnectionRefusedError(111, 'Refused')),
     '[Errno 111] Refused'),
    (wrapped(DriverError()), 'DriverError')])
def test_a_problem_is_one_line(error, problem):
    assert errors.problem(error) == problem
