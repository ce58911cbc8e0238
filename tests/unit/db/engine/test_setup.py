import os
import sqlite3

import pytest
import sqlalchemy as sa
from oslo_db import exception as db_exc

from computed.db.engine import address
from computed.db.engine import errors
from computed.db.engine import server_sql
from computed.db.engine import setup


def engine(path, **options):
    made = setup.single(address.prepare(f'sqlite:///{path}'))
    setup.tune(made, **options)
    return made


def test_a_connection_knows_its_server(tmp_path):
    made = engine(tmp_path / 'file')
    with made.connect() as connection:
        assert connection.info['identity'] == os.path.realpath(
            tmp_path / 'file')
        assert connection.info['cluster'] is None
        assert connection.scalar(sa.select(sa.literal_column(
            server_sql.identity(made)))) == connection.info['identity']


def test_a_file_that_must_exist_is_not_created(tmp_path):
    with pytest.raises(Exception, match='the file is missing'):
        engine(tmp_path / 'file', must_exist=True).connect()
    assert not (tmp_path / 'file').exists()


@pytest.mark.parametrize('error', [
    RuntimeError('the library for this kind of password is missing'),
    sqlite3.DatabaseError('an error that oslo.db does not know')])
def test_whatever_prevents_a_connection_is_one_kind_of_error(
        tmp_path, caplog, monkeypatch, error):
    made = engine(tmp_path / 'file')

    def connect(*arguments, **parameters):
        raise error
    monkeypatch.setattr(made.dialect.loaded_dbapi, 'connect', connect)
    with pytest.raises(db_exc.DBConnectionError) as found:
        made.connect()
    assert errors.problem(found.value) == str(error)
    assert caplog.records == []


def test_so_is_a_failure_of_its_first_statements(tmp_path, caplog):
    path = tmp_path / 'file'
    path.write_text('no database at all')
    with pytest.raises(db_exc.DBConnectionError) as found:
        engine(path).connect()
    assert errors.problem(found.value) == 'file is not a database'
    assert caplog.records == []
