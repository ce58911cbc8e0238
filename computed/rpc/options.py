"""The options of RPC, and the URL that they lead to."""

import os

import oslo_messaging as messaging
from oslo_config import cfg
from oslo_messaging import opts as messaging_opts

from computed import files
from computed.rpc import rabbit


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Add the messaging library's own options to ``conf``."""
    for group, options in messaging_opts.list_opts():
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
    """Return ``url`` without users and passwords."""
    scheme, colon, rest = url.partition('://')
    head, at, tail = rest.rpartition('@')
    if not at:
        return url
    # A password ends before the last @ and may contain any character if it
    # is not quoted. So of the text before the last @, only what stands
    # between an @ and a comma is the name of a host.
    hosts = [part.rpartition('@')[2] if '@' in part else ''
             for part in head.split(',')[:-1]]
    return scheme + colon + ','.join(
        '***@' + host if host else '***' for host in [*hosts, tail])


def check_ports(conf: cfg.ConfigOpts, url: str | None) -> None:
    """Refuse a port that is not a number; it may be part of a password.

    :param url: None: the configured one
    :raises ValueError: the message does not contain the port
    """
    try:
        messaging.TransportURL.parse(conf, url)
    except ValueError:
        raise ValueError(
            'the text after the last colon of a host is not a number; '
            'write each special character of the password as %XX') from None
