import sys

import pytest

from computed import exception
from computed.db import connections
from computed.db import engines


@pytest.mark.parametrize('url', [
    'sqlite:////x', 'mysql+pymysql://u:p@h/x', 'mariadb+pymysql://u:p@h/x',
    'postgresql://u:p@h/x', 'postgresql+psycopg://u:p@h/x'])
def test_what_can_work(url):
    connections.check(url, 'connection')


@pytest.mark.parametrize('url, said', [
    ('nonsense', 'not a database URL'),
    ('mssql+pymssql://u:secret@h/x', 'unknown kind mssql'),
    ('postgresql+psycopg2://u:secret@h/x', 'no support for driver psycopg2')])
def test_what_cannot(url, said):
    with pytest.raises(exception.ConfigError) as refused:
        connections.check(url, 'connection')
    assert said in str(refused.value)
    assert 'secret' not in str(refused.value)


def test_a_driver_that_is_missing_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, 'psycopg', None)
    with pytest.raises(exception.ConfigError) as refused:
        connections.check('postgresql://u:p@h/x', 'connection')
    assert 'computed[postgresql]' in str(refused.value)


def test_a_timeout_reaches_the_server_unless_the_url_has_its_own():
    query = engines.prepared('postgresql://h/x?connect_timeout=9', 2).query
    assert query['connect_timeout'] == '9'
    assert query['options'] == '-c statement_timeout=1800'
    assert 'options' not in engines.prepared('postgresql://h/x').query


def test_a_primary_among_several_hosts_is_shown_by_all_of_them():
    url = 'postgresql+psycopg://u:secret@/x?host=a:1&host=b:2'
    assert engines.address(url) == 'a:1,b:2/x'
    assert connections.same_server(url) != connections.same_server(
        url.replace('b:2', 'b:3'))
