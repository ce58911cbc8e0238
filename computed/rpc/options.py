"""The options of RPC, and the URL that they lead to."""

import functools
import os
import re

import oslo_messaging as messaging
from oslo_config import cfg
from oslo_messaging import opts as messaging_opts

from computed import files
from computed.conf import shown as conf_shown
from computed.rpc import rabbit

# A host or an address in brackets, and its port.
_HOST = re.compile(r'(\[[0-9A-Fa-f:.]*\]|[^:\[\]]*)(:\d*)?')

_MAX_PORT = 65535
# Those of AMQP, with and without TLS.
_PORTS = (':5671', ':5672')


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Add the messaging library's own options to ``conf``."""
    for group, options in _library_options():
        conf.register_opts(options, group=group)
    rabbit.set_defaults(conf)


@functools.cache
def _library_options() -> list[tuple[str | None, list[cfg.Opt]]]:
    """Return the library's options by group, copied once: that is slow."""
    found = messaging_opts.list_opts()
    for _, options in found:
        for option in options:
            # The library does not mark every secret.
            option.secret = option.secret or 'password' in option.name
    return found


def is_standalone(conf: cfg.ConfigOpts) -> bool:
    """Return whether no ``transport_url`` is configured.

    Then this host runs its own conductor and needs no broker.
    """
    if 'transport_url' not in conf:
        register_opts(conf)
    found = conf.get_location('transport_url')
    return found is not None and found.location is cfg.Locations.opt_default


def url(conf: cfg.ConfigOpts) -> str:
    """Return the URL to use, with its password.

    Without a configured one, sockets below the state path are used.
    """
    if is_standalone(conf):
        return 'unix://' + files.below(
            os.path.abspath(conf.state_path), 'rpc')
    return conf.transport_url


def address(conf: cfg.ConfigOpts) -> str:
    """Return the URL to use, without users and passwords."""
    return shown(url(conf))


def shown(url: str) -> str:
    """Return ``url`` without users and passwords.

    Of a query, the names of the library's options are shown; of what is not a
    URL, the scheme.
    """
    scheme, colon, rest = url.partition('://')
    rest, mark, fragment = rest.partition('#')
    where, _, query = rest.partition('?')
    head, at, tail = where.rpartition('@')
    place, slash, vhost = tail.partition('/')
    hosts = place.split(',')
    if not colon or '@' in query + fragment or not all(
            map(_HOST.fullmatch, hosts)):
        return conf_shown.scheme(url)
    # What has no @ may be a user and a password.
    safe = [host if at and not number or not is_ambiguous(host)
            else host.partition(':')[0] + ':' + conf_shown.HIDDEN
            for number, host in enumerate(hosts)]
    if at:
        # A password ends before the last @ and may contain any character if
        # it is not quoted. So of the text before the last @, only what stands
        # between an @ and a comma is the name of a host.
        safe = [*(part.rpartition('@')[2] if '@' in part else ''
                  for part in head.split(',')[:-1]), *safe]
        safe = ['***@' + host if host else '***' for host in safe]
    return (scheme + colon + ','.join(safe) + slash + vhost +
            conf_shown.names(query, _arguments(scheme)) +
            (mark and mark + conf_shown.HIDDEN))


def is_ambiguous(host: str) -> bool:
    """Return whether ``host:port`` may be a user and a password of digits."""
    port = _HOST.fullmatch(host)
    return bool(port and port[2] and port[2] not in _PORTS)


@functools.cache
def _arguments(scheme: str) -> frozenset[str]:
    """Return the names that the query of a URL may have."""
    if scheme == 'unix':
        return frozenset()
    return frozenset(option.dest for _, options in messaging_opts.list_opts()
                     for option in options)


def check(conf: cfg.ConfigOpts, given: str | None) -> None:
    """Refuse a URL of which a part of the password may count as another part.

    :param given: None: the configured URL
    :raises ValueError: the message has no part of the URL
    """
    whole = given or conf.transport_url
    kind, found, rest = whole.partition('://')
    if not found:
        raise ValueError('it does not begin with a scheme and ://')
    if kind == 'unix' and '?' in rest:
        raise ValueError('write unix:///absolute/directory, without options')
    if '#' in rest:
        raise ValueError('it has a #; write each special character of the '
                         'password as %XX')
    if kind != 'unix' and '@' in rest.partition('/')[2]:
        raise ValueError('an @ stands after the first /; write each special '
                         'character of the password as %XX')
    try:
        parsed = messaging.TransportURL.parse(conf, given)
    except ValueError:
        raise ValueError(
            'the text after the last colon of a host is not a number; '
            'write each special character of the password as %XX') from None
    if any((host.port or 0) > _MAX_PORT for host in parsed.hosts):
        raise ValueError(f'a port is larger than {_MAX_PORT}')
    # The library writes the port to the log.
    if any(host.username is None and is_ambiguous(f':{host.port or 5672}')
           for host in parsed.hosts):
        raise ValueError('a port needs a user and a password, such as '
                         'guest:guest@, because without an @ a password may '
                         'look like a port')
