"""Which databases the configuration names, checked."""

import dataclasses
import inspect
import os

import sqlalchemy as sa

from computed import exception
from computed.conf import validation
from computed.db.engine import setup as engines

# Those that eventlet can wait for, and SQLite, which is soon done.
COOPERATIVE = ('pymysql', 'pysqlite')
BACKENDS = ('sqlite', 'mysql', 'mariadb', 'postgresql')
# What each file of SQLite begins with.
SQLITE = b'SQLite format 3\0'
REMEDY = ('Write a URL such as mysql+pymysql://user:password@host/computed or '
          'postgresql+psycopg://user:password@host/computed.')


@dataclasses.dataclass(frozen=True)
class Urls:
    primary: str
    replicas: tuple[str, ...]


def from_conf(conf, standalone, make=True):
    """The URLs of the primary and its replicas.

    :param standalone: without a ``connection``, use a file below the state
        path
    :param make: make the folder of that file if it is missing
    :raises computed.exception.ConfigError: one is missing, is not usable or
        is named twice
    """
    engines.register_opts(conf)
    primary = conf.database.connection
    if not primary:
        if not standalone:
            raise exception.ConfigError(
                option='[database] connection', value='nothing',
                problem='a transport_url is set, so a database is needed',
                remedy=REMEDY)
        if conf.database.replica_connections or (
                conf.database.slave_connection):
            raise exception.ConfigError(
                option='[database] connection', value='nothing',
                problem='replicas of it are named',
                remedy=REMEDY)
        path = os.path.join(os.path.abspath(conf.state_path),
                            'computed.sqlite')
        if make:
            make_folder(conf.state_path)
        primary = f'sqlite:///{path}'
    check(primary, '[database] connection')
    replicas = list(conf.database.replica_connections)
    if conf.database.slave_connection:
        replicas.insert(0, conf.database.slave_connection)
    seen = {same_server(primary)}
    for url in replicas:
        check(url, '[database] replica_connections')
        if same_server(url) in seen:
            raise exception.ConfigError(
                option='[database] replica_connections',
                value=engines.address(url),
                problem='names a database that is named already',
                remedy='Name the primary once and each replica once.')
        seen.add(same_server(url))
        if family(url) != family(primary):
            raise exception.ConfigError(
                option='[database] replica_connections',
                value=engines.address(url),
                problem=f'{family(url)} cannot be a replica of '
                        f'{family(primary)}',
                remedy='Name replicas of [database] connection.')
    return Urls(primary, tuple(replicas))


def check(url, option):
    """Refuse a URL that cannot work, whatever answers there."""
    remedy = REMEDY
    try:
        parsed = sa.make_url(url)
        backend = parsed.get_backend_name()
        dialect = parsed.get_dialect()
        problem = None if backend in BACKENDS else f'unknown kind {backend}'
        # No other driver can be made to leave a server that is frozen.
        if backend == 'postgresql' and dialect.driver != 'psycopg':
            problem = f'there is no support for driver {dialect.driver}'
        elif problem is None:
            problem = _unusable(parsed, dialect)
    except ImportError as error:
        problem = f'its driver cannot be loaded ({error})'
        remedy = 'Install it, for PostgreSQL with computed[postgresql].'
    except sa.exc.NoSuchModuleError:
        problem = f'unknown kind {url.partition(":")[0]}'
    except ValueError:      # the end of it may be one of a password
        problem = ('its port is not a number; is each special character of '
                   'the password written as %XX?')
    except Exception as error:      # noqa: BLE001, libraries differ
        problem = f'not a database URL ({type(error).__name__})'
    if problem:
        raise exception.ConfigError(
            option=option, value=url.rpartition('@')[2], problem=problem,
            remedy=remedy)
    if dialect.driver not in COOPERATIVE:
        validation.refuse_blocking(option, engines.address(url))


def _unusable(parsed, dialect):
    """What the library would say only when it connects, or not at all."""
    if parsed.get_backend_name() == 'sqlite':
        if parsed.database in (None, '', ':memory:'):
            return 'a database in memory is gone with its connection'
        return _no_database(parsed.database)
    if not parsed.database:
        return 'it names no database'
    library = dialect.import_dbapi()
    parameters = inspect.signature(library.connect)
    try:
        if dialect.driver == 'pymysql':
            parameters.bind(
                **dialect(dbapi=library).create_connect_args(parsed)[1])
        elif dialect.driver == 'psycopg':
            # what is none of the library's is one of libpq
            library.conninfo.make_conninfo(**dict.fromkeys(
                parsed.query.keys() - parameters.parameters, ''))
    except (TypeError, library.Error) as error:
        return ' '.join(str(error).split())
    return None


def _no_database(path):
    """What is wrong with a file, if there is one, as one of SQLite's."""
    try:
        with open(path, 'rb') as stream:
            begin = stream.read(len(SQLITE))
    except FileNotFoundError:
        return None     # to be made, or to be missed
    except OSError as error:
        return error.strerror
    # One that nothing was written to yet is empty.
    return None if begin in (b'', SQLITE) else 'that file is no database'


def family(url):
    """Of which make of server a URL is."""
    name = sa.make_url(url).get_backend_name()
    return 'mysql' if name == 'mariadb' else name


def same_server(url):
    """What two URLs of one database have in common."""
    url = sa.make_url(url)
    return (url.get_backend_name(), url.host, url.port, url.database,
            url.normalized_query.get('host'))


def make_folder(path):
    """Make the state path, for this user only.

    :raises computed.exception.ConfigError: it cannot be made
    """
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
    except OSError as error:
        raise exception.ConfigError(
            option='[DEFAULT] state_path', value=path,
            problem=error.strerror,
            remedy='Give another with --state-path.') from error
