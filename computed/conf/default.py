"""[DEFAULT]: who this host is, where it keeps its state, how it reports."""

import os
import socket

from oslo_config import cfg

from computed import concurrency

GROUP = None


def state_path():
    """Where state is kept if nothing else is said.

    ``$COMPUTED_STATE_PATH``, else ``/var/lib/computed`` for root, else the
    XDG state directory of the user.
    """
    if path := os.environ.get('COMPUTED_STATE_PATH'):
        return path
    if os.geteuid() == 0:
        return '/var/lib/computed'
    home = os.environ.get('XDG_STATE_HOME') or os.path.expanduser(
        '~/.local/state')
    return os.path.join(home, 'computed')


CLI_OPTS = [
    cfg.StrOpt('state-path', default=state_path(),
               sample_default='/var/lib/computed',
               help="""
Directory for everything that must survive a restart: instances of the
process driver, the claim journal, task records, and, without configuration,
the database and the sockets.

The environment variable COMPUTED_STATE_PATH overrides the default.
"""),
]

OPTS = [
    cfg.HostAddressOpt('host', default=socket.gethostname(),
                       sample_default='<hostname>', help="""
The name of this host in the database. Two hosts must not share it. Changing
it makes this a new host, which refuses to start while it holds instances.
"""),
    cfg.IntOpt('report_interval', min=1, default=10, mutable=True, help="""
Seconds between two heartbeats of this host.
"""),
    cfg.IntOpt('service_down_time', min=2, default=60, mutable=True, help="""
Seconds of silence after which a host is shown as down. Must be longer than
``report_interval``.
"""),
    cfg.BoolOpt('periodic_enable', default=True, mutable=True, help="""
Run periodic tasks. False turns all of them off.
"""),
    cfg.IntOpt('periodic_fuzzy_delay', min=0, default=60, help="""
Seconds over which the first runs of tasks that run at start are spread, so
that hosts started together do not ask together. Each host has its own fixed
place in that range.
"""),
    cfg.IntOpt('periodic_workers', min=1, default=8, help="""
Threads for periodic tasks. A task that hangs keeps one.
"""),
    cfg.IntOpt('operation_workers', min=1, default=8, help="""
Threads for what users ask of instances: start, stop, delete and so on.
"""),
    cfg.StrOpt('metrics_address', default='', help="""
Where this host serves its metrics for Prometheus, as HOST:PORT; the path is
``/metrics``. Whoever can reach it can read them. Empty: nowhere.

A conductor has its own, ``[conductor] metrics_address``.
"""),
    cfg.StrOpt(concurrency.OPTION, default=concurrency.THREADING,
               choices=[
                   (concurrency.THREADING, 'native threads'),
                   (concurrency.EVENTLET, 'green threads, all in one native '
                                          'one; deprecated by its makers')],
               help="""
What the threads of every program are. ``eventlet`` goes with the drivers
``process`` and ``memory``, with RabbitMQ and ``unix://``, with MySQL or
MariaDB by PyMySQL and with SQLite. With anything else, programs refuse to
start: it would wait in its own way, and all threads with it.

The environment variable COMPUTED_CONCURRENCY_BACKEND overrides it.
"""),
    cfg.IntOpt('graceful_shutdown_timeout', min=0, default=60, mutable=True,
               help="""
Seconds that work under way is given to finish when the service is told to
stop. Afterwards the process ends anyway. 0 waits for as long as it takes.
"""),
]
