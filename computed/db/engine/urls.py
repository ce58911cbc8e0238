"""The URLs of the databases that the configuration names, checked."""

import dataclasses
import inspect
import os
import typing

import sqlalchemy as sa
from oslo_config import cfg
from oslo_db import options

from computed import exception
from computed import files
from computed.conf import shown
from computed.conf import validation
from computed.db.engine import address

# Drivers that eventlet does not block on, and SQLite, which is fast.
COOPERATIVE = ('pymysql', 'pysqlite')
BACKENDS = ('sqlite', 'mysql', 'mariadb', 'postgresql')
# The options of [database] that have URLs.
OPTIONS = ('connection', 'slave_connection', 'replica_connections')
# Those of MariaDB and PostgreSQL. Any other number after a host without a user
# may be a password.
PORTS = (3306, 5432)
# The first bytes of each file of SQLite.
SQLITE = b'SQLite format 3\0'
NO_DATABASE = 'that file is no database'
REMEDY = ('Write a URL such as mysql+pymysql://user:password@host/computed or '
          'postgresql+psycopg://user:password@host/computed.')


@dataclasses.dataclass(frozen=True)
class Urls:
    primary: str
    replicas: tuple[str, ...]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Add the options of oslo.db (``connection`` and others) to ``conf``."""
    conf.register_opts(options.database_opts, group='database')
    # The library does not mark it, and it can have the same arguments.
    conf._get_opt_info('connection_parameters', 'database')[
        'opt'].secret = True


def from_conf(conf: cfg.ConfigOpts, standalone: bool,
              make: bool = True) -> Urls:
    """Return the URLs of the primary and its replicas.

    :param standalone: without a ``connection``, use a file below the state
        path
    :param make: create the folder of that file if it is missing
    :raises computed.exception.ConfigError: a URL is missing, cannot be used
        or is named twice
    """
    register_opts(conf)
    primary, slave, replicas = (
        validation.read(conf, 'database', name) for name in OPTIONS)
    replicas = [*filter(None, [slave]), *replicas]
    if not primary:
        problem = None
        if not standalone:
            problem = 'a transport_url is set, so a database is needed'
        elif replicas:
            problem = 'its replicas are named, so it must be named too'
        if problem:
            raise exception.ConfigError(
                option='[database] connection', value='nothing',
                problem=problem, remedy=REMEDY)
        primary = _default(conf.state_path, make)
    check(primary, '[database] connection')
    _check_replicas(primary, replicas)
    return Urls(primary, tuple(replicas))


def _default(state_path: str, make: bool) -> str:
    path = os.path.abspath(state_path)
    try:
        if make:
            files.make_private(path)
        else:
            files.ensure_trusted(path)
    except OSError as error:
        raise validation.unusable_state_path(state_path, error) from error
    return 'sqlite:///' + files.below(path, 'computed.sqlite')


def _check_replicas(primary: str, replicas: list[str]) -> None:
    seen = {address.server(primary)}
    kind = address.family(primary)
    for url in replicas:
        check(url, '[database] replica_connections')
        if address.server(url) in seen:
            raise exception.ConfigError(
                option='[database] replica_connections',
                value=address.show(url),
                problem='another URL names the same database',
                remedy='Name the primary once and each replica once.')
        seen.add(address.server(url))
        if address.family(url) != kind:
            raise exception.ConfigError(
                option='[database] replica_connections',
                value=address.show(url),
                problem=f'{address.family(url)} cannot be a replica of '
                        f'{kind}',
                remedy='Name replicas of [database] connection.')


def check(url: str, option: str) -> None:
    """Refuse a URL that cannot work with any server.

    :param option: the option that has it, for the error
    :raises computed.exception.ConfigError: it cannot work
    """
    remedy, value = REMEDY, shown.scheme(url)
    try:
        parsed = sa.make_url(url)
        _refuse_ambiguous(parsed)
        backend = parsed.get_backend_name()
        value = address.show(parsed)
        dialect = parsed.get_dialect()
        problem = None if backend in BACKENDS else f'unknown kind {backend}'
        # Only this driver can stop waiting for a server that is frozen.
        if backend == 'postgresql' and dialect.driver != 'psycopg':
            problem = f'there is no support for driver {dialect.driver}'
        elif problem is None:
            problem = _unusable(parsed, dialect)
            if problem == NO_DATABASE:
                remedy = ('Put the database back from a backup, and run '
                          '`computed-manage db new-incarnation`, or name '
                          'another file.')
    except ImportError as error:
        problem = f'its driver cannot be loaded ({error})'
        remedy = 'Install it, for PostgreSQL with computed[postgresql].'
    except sa.exc.NoSuchModuleError:
        problem = f'unknown kind {url.partition(":")[0]}'
    except ValueError:      # its text may have the end of a password
        problem = ('its port is not a number, or an @ is missing or one too '
                   'many; is each special character of the password written '
                   'as %XX?')
    except Exception as error:      # noqa: BLE001, libraries differ
        problem = f'not a database URL ({type(error).__name__})'
    if problem:
        raise exception.ConfigError(
            option=option, value=value, problem=problem, remedy=remedy)
    if dialect.driver not in COOPERATIVE:
        validation.refuse_blocking(option, address.show(url))


def _refuse_ambiguous(parsed: sa.URL) -> None:
    """Refuse a URL in which a part of a password may count as the host.

    :raises ValueError: it has another @ than that before its host, or a port
        that may be a password of digits whose @ is missing
    """
    if parsed.get_backend_name() != 'sqlite' and any(
            '@' in (part or '') for part in (
                parsed.host, parsed.database, *parsed.query)):
        raise ValueError('@')
    if parsed.username is None and parsed.port not in (None, *PORTS):
        raise ValueError('a port')


def _unusable(parsed: sa.URL, dialect: typing.Any) -> str | None:
    """Return a problem that the driver would report only on connecting."""
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
            # An option that the driver does not know is one of libpq.
            library.conninfo.make_conninfo(**dict.fromkeys(
                parsed.query.keys() - parameters.parameters, ''))
    except (TypeError, library.Error) as error:
        return ' '.join(str(error).split())
    return None


def _no_database(path: str) -> str | None:
    """Return why the file at ``path`` is not a database of SQLite of ours."""
    try:
        files.ensure_private(path)
        with open(path, 'rb') as stream:
            begin = stream.read(len(SQLITE))
    except FileNotFoundError:
        return None     # others create it, or report that it is missing
    except files.Untrusted as error:
        return f'{error.strerror}; only this user or root may write there'
    except OSError as error:
        return error.strerror
    # A database without any write yet is an empty file.
    return None if begin in (b'', SQLITE) else NO_DATABASE
