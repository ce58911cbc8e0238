"""[DEFAULT]: name, state path, threads and metrics of this host."""

import os
import socket

from oslo_config import cfg

from computed import concurrency
from computed import files

GROUP = None


def state_path() -> str:
    """Return the default of ``state_path``.

    This is ``$COMPUTED_STATE_PATH`` if it is set, else ``/var/lib/computed``
    for root, else a folder in the XDG state directory of the user.
    """
    if path := os.environ.get('COMPUTED_STATE_PATH'):
        return path
    if os.geteuid() == 0:
        return '/var/lib/computed'
    home = os.environ.get('XDG_STATE_HOME') or os.path.expanduser(
        '~/.local/state')
    return files.below(home, 'computed')


CLI_OPTS = [
    cfg.StrOpt('state-path', default=state_path(),
               sample_default='/var/lib/computed',
               help="""
Directory for everything that must survive a restart: the instances of the
process driver, the claim journal and the task records. Without any
configuration also the database and the sockets are there.

The environment variable COMPUTED_STATE_PATH overrides the default.
"""),
]

OPTS = [
    cfg.HostAddressOpt('host', default=socket.gethostname(),
                       sample_default='<hostname>', help="""
The name of this host in the database. Two hosts must not have the same name.
If you change it, this becomes a new host, which refuses to start while it
still has instances.
"""),
    cfg.IntOpt('report_interval', min=1, default=10, mutable=True, help="""
Seconds between two heartbeats of this host.
"""),
    cfg.IntOpt('service_down_time', min=2, default=60, mutable=True, help="""
Seconds without a heartbeat after which a host counts as down, and after which
another service may take it over. They are counted by the clock of the cell.
Conductors decide with their own value. It must be more than
``report_interval``.
"""),
    cfg.BoolOpt('periodic_enable', default=True, mutable=True, help="""
Run periodic tasks. ``false`` turns all of them off.
"""),
    cfg.IntOpt('periodic_fuzzy_delay', min=0, default=60, help="""
Some tasks run soon after the start. Their first runs are spread over this
number of seconds, so that hosts that start together do not load the database
at the same moment. Each host has a fixed place in this range.
"""),
    cfg.IntOpt('periodic_workers', min=1, default=8, help="""
Number of threads for periodic tasks. A task that hangs occupies one of them.
"""),
    cfg.IntOpt('operation_workers', min=1, default=8, help="""
Number of threads for operations on instances, such as start, stop and delete.
"""),
    cfg.StrOpt('metrics_address', default='', help="""
HOST:PORT or ``unix:/PATH`` at which this host serves its metrics for
Prometheus, under the path ``/metrics``. Everyone who can connect to this
address can read them. HOST must be an address of loopback, such as 127.0.0.1,
unless ``metrics_allow_remote`` is true. An empty value turns this off.

A conductor has an option of its own: ``[conductor] metrics_address``.
"""),
    cfg.BoolOpt('metrics_allow_remote', default=False, help="""
Let ``metrics_address`` be one that other machines can reach. There is no
password and no TLS: let a firewall admit only Prometheus.
"""),
    cfg.StrOpt(concurrency.OPTION, default=concurrency.THREADING,
               choices=[
                   (concurrency.THREADING, 'native threads'),
                   (concurrency.EVENTLET, 'green threads inside one native '
                                          'thread; the eventlet project '
                                          'itself has deprecated it')],
               help="""
The kind of threads that every program uses. ``eventlet`` works with the
drivers ``process`` and ``memory``, with RabbitMQ and ``unix://``, with MySQL
or MariaDB through PyMySQL, and with SQLite. With anything else the programs
refuse to start, because each wait in such a library would block all threads.

The environment variable COMPUTED_CONCURRENCY_BACKEND overrides this option.
"""),
    cfg.IntOpt('graceful_shutdown_timeout', min=0, default=60, mutable=True,
               help="""
Seconds that running work gets to finish after the service was told to stop.
After that the process ends anyway. 0 waits without a limit.
"""),
]
