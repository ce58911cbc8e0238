"""The names of the tables and columns, as operators type them."""

import pytest
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.mysql import mariadb

from computed.db.cell import models

DIALECTS = (mysql.dialect, mariadb.MariaDBDialect, postgresql.dialect,
            sqlite.dialect)
NAMES = {name for table in models.Base.metadata.tables.values()
         for name in (table.name, *table.columns.keys(),
                      *(index.name for index in table.indexes))}


@pytest.mark.parametrize('dialect', DIALECTS)
def test_no_name_needs_quotes(dialect):
    assert len(NAMES) > 50
    preparer = dialect().identifier_preparer
    assert {name for name in NAMES if preparer.quote(name) != name} == set()
