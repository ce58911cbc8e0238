"""The options of RPC, and the URL that they lead to."""

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


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Add the messaging library's own options to ``conf``."""
    for group, options in messaging_opts.list_opts():
        for option in options:
            # The library does not mark every secret.
            option.secret = option.secret or 'password' in option.name
        conf.register_opts(options, group=group)
    rabbit.set_defaults(conf)


def is_standalone(conf: cfg.ConfigOpts) -> bool:
    """Return whether no ``transport_url`` is configured.

    Then this host runs its own conductor and needs no broker.
    """
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

    Of a query, the names of its arguments are shown; of what is not a URL,
    the scheme.
    """
    scheme, colon, rest = url.partition('://')
    where, _, query = rest.partition('?')
    head, at, tail = where.rpartition('@')
    if not colon or '@' in query or not all(
            map(_HOST.fullmatch, tail.partition('/')[0].split(','))):
        return conf_shown.scheme(url)
    names = conf_shown.names(query)
    if not at:
        return scheme + colon + where + names
    # A password ends before the last @ and may contain any character if it
    # is not quoted. So of the text before the last @, only what stands
    # between an @ and a comma is the name of a host.
    hosts = [part.rpartition('@')[2] if '@' in part else ''
             for part in head.split(',')[:-1]]
    return scheme + colon + ','.join(
        '***@' + host if host else '***' for host in [*hosts, tail]) + names


def check(conf: cfg.ConfigOpts, given: str | None) -> None:
    """Refuse a URL of which a part of the password may count as another part.

    :param given: None: the configured URL
    :raises ValueError: the message has no part of the URL
    """
    whole = given or conf.transport_url
    kind, found, rest = whole.partition('://')
    if not found:
        raise ValueError('it does not begin with a scheme and ://')
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
