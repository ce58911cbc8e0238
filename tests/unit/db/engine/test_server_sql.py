import types

import pytest

from computed.db.engine import server_sql


def engine(name, path=None):
    return types.SimpleNamespace(
        dialect=types.SimpleNamespace(name=name),
        url=types.SimpleNamespace(database=path))


def test_a_file_is_identified_by_its_path_as_a_literal():
    assert server_sql.identity(engine('sqlite', "/it's")) == "'/it''s'"


def test_two_paths_of_one_file_are_one_server(tmp_path):
    (tmp_path / 'link').symlink_to(tmp_path / 'file')
    assert server_sql.identity(engine('sqlite', tmp_path / 'link')) == (
        server_sql.identity(engine('sqlite', tmp_path / 'file')))


@pytest.mark.parametrize('expression', [
    server_sql.identity, server_sql.lineage])
def test_mariadb_is_asked_as_mysql_is(expression):
    assert expression(engine('mariadb')) == expression(engine('mysql'))
    assert expression(engine('mariadb')) != expression(engine('postgresql'))
