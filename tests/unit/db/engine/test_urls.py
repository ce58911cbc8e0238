import sys

import pytest
from oslo_config import cfg

from computed import conf as computed_conf
from computed import exception
from computed.db.engine import urls


@pytest.mark.parametrize('url', [
    'sqlite:////x', 'mysql+pymysql://u:p@h/x', 'mariadb+pymysql://u:p@h/x',
    'postgresql://u:p@h/x', 'postgresql+psycopg://u:p@h/x'])
def test_what_can_work(url):
    urls.check(url, 'connection')


@pytest.mark.parametrize('url, problem', [
    ('nonsense', 'not a database URL'),
    ('postgres://u:secret@h/x', 'unknown kind postgres'),
    ('postgresql+nodriver://u:secret@h/x',
     'unknown kind postgresql+nodriver'),
    ('mysql+pymysql://u:secret@h:port/x', 'its port is not a number'),
    ('mysql+pymysql://u:secret@h/', 'it names no database'),
    ('postgresql+psycopg://u:secret@h', 'it names no database'),
    ('sqlite://', 'a database in memory'),
    ('mysql+pymysql://u:secret@h/x?nope=1', "keyword argument 'nope'"),
    ('postgresql+psycopg://u:secret@h/x?nope=1',
     'invalid connection option "nope"'),
    ('mssql+pymssql://u:secret@h/x', 'unknown kind mssql'),
    ('postgresql+psycopg2://u:secret@h/x', 'no support for driver psycopg2'),
    # a password may be anywhere
    ('mysql://u:secret', 'its port is not a number'),
    ('mysql+pymysql://u:5ecret@secret@h/x', 'an @ is missing or one too many'),
    ('mysql+pymysql://u/x:secret@h/x', 'an @ is missing or one too many'),
    ('mysql+pymysql:///u:secret@h/x', 'an @ is missing or one too many'),
    ('mysql+pymysql:/u:secret@h/x', 'not a database URL'),
    ('u:secret@h', 'not a database URL'),
    ('secret', 'not a database URL'),
    ('mysql+pymysql://u:secret@h/x?connect_timeout=secret', 'its port is'),
    ('mysql+pymysql://u:secret@h/x?ssl_key_passwort=secret',
     "keyword argument 'ssl_key_passwort'")])
def test_what_cannot(url, problem):
    with pytest.raises(exception.ConfigError) as refused:
        urls.check(url, 'connection')
    assert problem in str(refused.value)
    assert 'secret' not in str(refused.value)


@pytest.fixture
def configured():
    def make(**database):
        conf = cfg.ConfigOpts()
        computed_conf.register_opts(conf)
        urls.register_opts(conf)
        conf([], default_config_files=[])
        for name, value in database.items():
            conf.set_override(name, value, group='database')
        return conf
    return make


@pytest.mark.parametrize('option, value', [
    ('replica_connections', ['postgresql+psycopg://u:secret@h2/x']),
    ('slave_connection', 'sqlite:////x')])
def test_a_replica_is_of_the_make_of_its_primary(configured, option, value):
    conf = configured(connection='mysql+pymysql://u:secret@h/x',
                      **{option: value})
    with pytest.raises(exception.ConfigError) as refused:
        urls.from_conf(conf, standalone=False)
    assert 'cannot be a replica of mysql' in str(refused.value)
    assert 'secret' not in str(refused.value)


def test_mariadb_and_mysql_are_of_one_make(configured):
    conf = configured(connection='mysql+pymysql://u:p@h/x',
                      replica_connections=['mariadb+pymysql://u:p@h2/x'])
    assert urls.from_conf(conf, standalone=False).replicas


@pytest.mark.parametrize('option, value', [
    ('replica_connections', ['mysql+pymysql://u:p@h/x']),
    ('slave_connection', 'mysql+pymysql://u:p@h/x')])
def test_replicas_of_nothing_are_refused(configured, option, value):
    with pytest.raises(exception.ConfigError) as refused:
        urls.from_conf(configured(**{option: value}), standalone=True)
    assert '[database] connection = nothing: ' in str(refused.value)


@pytest.mark.parametrize('content, problem', [
    (b'', None), (b'SQLite format 3\0 and so on', None),
    (b'root:x:0:0', 'that file is no database')])
def test_a_file_that_is_something_else_is_not_taken_for_a_database(
        tmp_path, content, problem):
    (tmp_path / 'file').write_bytes(content)
    if problem is None:
        urls.check(f'sqlite:///{tmp_path}/file', 'connection')
        return
    with pytest.raises(exception.ConfigError, match=problem):
        urls.check(f'sqlite:///{tmp_path}/file', 'connection')


def test_a_folder_is_no_database(tmp_path):
    with pytest.raises(exception.ConfigError, match='Is a directory'):
        urls.check(f'sqlite:///{tmp_path}', 'connection')


def test_a_driver_that_is_missing_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, 'psycopg', None)
    with pytest.raises(exception.ConfigError) as refused:
        urls.check('postgresql://u:p@h/x', 'connection')
    assert 'computed[postgresql]' in str(refused.value)


@pytest.mark.parametrize('url', [
    'mysql+pymysql://u:1234', 'mysql://u:1234/', 'mysql+pymysql://u:1234/x',
    'postgresql+psycopg://u:1234/x'])
def test_a_password_that_counts_as_a_port_is_not_shown(url):
    with pytest.raises(exception.ConfigError, match='an @ is missing'
                       ) as refused:
        urls.check(url, 'connection')
    assert '1234' not in str(refused.value)


def test_a_dollar_sign_in_a_password_is_explained_and_not_shown(configured):
    with pytest.raises(exception.ConfigError, match=r'Write \$\$') as refused:
        urls.from_conf(configured(connection='mysql://u:sec$ret@h/x'), False)
    assert '[database] connection = ***' in str(refused.value)
    assert 'ret@' not in str(refused.value)
