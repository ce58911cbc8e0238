"""The parts of a database URL, and the options that its driver needs."""

import sqlalchemy as sa

from computed import exception

Url = str | sa.URL


def show(url: Url) -> str:
    """Return host, port and database, without user and password."""
    url = sa.make_url(url)
    if url.get_backend_name() == 'sqlite':
        return url.database or ':memory:'
    host = f'{url.host}:{url.port}' if url.port else url.host
    # libpq accepts several hosts and finds the primary among them.
    several = url.normalized_query.get('host', ())
    return f'{host or ",".join(several)}/{url.database}'


def unreachable(url: Url, problem: str,
                damaged: bool = False) -> exception.PrimaryUnreachable:
    """Return the error for a primary that cannot be used.

    :param problem: why, in one line
    :param damaged: it is a file that will not heal
    """
    kind: type[exception.PrimaryUnreachable] = exception.PrimaryUnreachable
    if family(url) == 'sqlite':
        kind = (exception.DatabaseDamaged if damaged
                else exception.FileUnusable)
    return kind(address=show(url), problem=problem)


def family(url: Url) -> str:
    """Return the kind of server; MariaDB counts as ``mysql``."""
    name = sa.make_url(url).get_backend_name()
    return 'mysql' if name == 'mariadb' else name


def server(url: Url) -> tuple:
    """Return what is equal in two URLs of the same database."""
    url = sa.make_url(url)
    return (url.get_backend_name(), url.host, url.port, url.database,
            url.normalized_query.get('host'))


def prepare(url: Url, timeout: float | None = None) -> sa.URL:
    """Return ``url`` with the driver options that this project needs.

    An option that the URL already has keeps its value.

    :param timeout: seconds to wait for a connection or for an answer; None
        keeps the driver's own limits
    """
    url = sa.make_url(url)
    options = {}
    if family(url) == 'mysql':
        # oslo.db would choose utf8, whose characters have up to three bytes.
        options['charset'] = 'utf8mb4'
        if timeout is not None:
            seconds = str(max(1, round(timeout)))
            options.update(connect_timeout=seconds, read_timeout=seconds,
                           write_timeout=seconds)
    elif family(url) == 'postgresql':
        options['application_name'] = 'computed'
        if timeout is not None:
            # postgresql.Connection uses it also for each answer.
            options['connect_timeout'] = str(max(1, round(timeout)))
            # The server gives up 10 % sooner, so that it can tell why.
            options['options'] = ('-c statement_timeout='
                                  f'{max(1, round(timeout)) * 900}')
            # This ends a connection to a machine that is gone, because that
            # machine never acknowledges what is sent.
            options['tcp_user_timeout'] = str(max(1, round(timeout)) * 1000)
    return url.update_query_dict(
        {key: value for key, value in options.items()
         if key not in url.query})
