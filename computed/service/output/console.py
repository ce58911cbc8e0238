"""What a person at the terminal sees: what is here and what to do next."""

import os
import shlex
import sys
import typing
from collections import abc

from oslo_config import cfg
from oslo_log import log as logging

from computed import files
from computed import states
from computed.logs import printable
from computed.rpc import options
from computed.service.output import outlet

if typing.TYPE_CHECKING:
    from computed.virt import calls as calls_module
    from computed.virt import claim as virt_claim

LOG = logging.getLogger(__name__)

# Without configuration a person watches: short intervals, short lines.
LINE = '%(asctime)s %(levelname)-7s %(message)s'
STANDALONE: dict[str | None, dict[str, typing.Any]] = {
    None: {'logging_default_format_string': LINE,
           'logging_context_format_string': LINE + ' [%(request_id)s]',
           'log_date_format': '%H:%M:%S',
           'periodic_fuzzy_delay': 2,
           'graceful_shutdown_timeout': 20},
    'tasks': {'sync_power_state_interval': 10,
              'bandwidth_poll_interval': 10},
    'virt': {'stopped_event_delay': 1.0, 'shutdown_timeout': 10},
}


def standalone_defaults(conf: cfg.ConfigOpts) -> None:
    """Change defaults if no ``transport_url`` is configured."""
    if options.is_standalone(conf):
        for group, defaults in STANDALONE.items():
            for name, value in defaults.items():
                conf.set_default(name, value, group)


def hello(conf: cfg.ConfigOpts,
          instances: abc.Sequence[typing.Any]) -> None:
    """Print that the host is up, what it has, and the next command.

    :param instances: those of this host
    """
    LOG.info('Host %(host)s is managed: driver %(driver)s, %(count)d '
             'instances, state in %(state)s.',
             {'host': conf.host, 'driver': conf.virt.driver,
              'count': len(instances), 'state': short(conf.state_path)})
    if not options.is_standalone(conf):
        return
    for instance in instances:
        say(f'Instance {instance.name} is still here: {instance.vm_state}.')
    say(f'Guests and records are compared every '
        f'{conf.tasks.sync_power_state_interval} s. Press Ctrl-C to end this '
        'program; guests keep running.')
    words = ('instance list' if instances else
             "instance create first --command 'sleep 1000' --wait")
    say('Next, in another terminal:', f'    {command(conf, words)}')


def goodbye(conf: cfg.ConfigOpts, calls: 'calls_module.Calls',
            owner: 'virt_claim.Owner') -> None:
    """Print which guests keep running, and how to stop them."""
    try:
        guests = calls.list_instances().instances
    except Exception:       # the service may have started only in part
        return
    on = {uuid: info for uuid, info in guests.items()
          if info.power_state in states.ON}
    running = sorted(uuid for uuid, info in on.items()
                     if info.owner == owner)
    if not running and on:
        say(f'Ending. Guests of other owners that keep running: {len(on)}.')
        return
    if not running:
        say('Ending. No instance keeps running.')
        return
    say(f'Ending. Instances that keep running: {len(running)}. The next '
        'start finds them again. To stop them, start the program again and '
        'type:',
        f'    {command(conf, "instance stop " + " ".join(running))}')


def say(*lines: str) -> None:
    """Print lines for the person at the terminal, not for a log."""
    outlet.to_stdout('\n'.join(map(printable.escaped, lines)))


def command(conf: cfg.ConfigOpts, words: str) -> str:
    """Return the exact line to type for ``computed-manage WORDS``."""
    program = files.below(os.path.dirname(sys.argv[0]), 'computed-manage')
    line = [shlex.quote(short(program))]
    for path in conf.config_file or []:
        if path in conf.default_config_files:
            continue
        line.append(f'--config-file {shlex.quote(short(path))}')
    location = conf.get_location('state_path')
    if location.location.is_user_controlled:
        line.append(f'--state-path {shlex.quote(short(conf.state_path))}')
    return ' '.join([*line, words])


def short(path: str) -> str:
    """Return ``path`` relative to the working directory, if shorter."""
    try:
        here = os.getcwd()
    except OSError:     # it was removed
        return path
    path = os.path.abspath(path)
    if here == '/':     # where systemd starts a program, but nobody works
        return path
    relative = os.path.relpath(path)
    return relative if len(relative) < len(path) else path
