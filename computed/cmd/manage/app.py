"""The program: its global options, its commands, how it reports errors."""

import functools
import logging
import sys
import typing

from cliff import app
from cliff import commandmanager

import computed
from computed.cmd import setup
from computed.cmd.manage import base
from computed.cmd.manage import database
from computed.cmd.manage import freeze
from computed.cmd.manage import hosts
from computed.cmd.manage import instances
from computed.cmd.manage import operations
from computed.cmd.manage import replicas
from computed.cmd.manage import tasks
from computed.cmd.manage import usage

NAME = 'computed-manage'
USAGE_ERROR = 2

COMMANDS: dict[str, typing.Any] = {
    'db sync': database.Sync,
    'db version': database.Version,
    'db new-incarnation': database.NewIncarnation,
    'host list': hosts.List,
    'host show': hosts.Show,
    'instance create': instances.Create,
    'instance list': instances.List,
    'instance show': instances.Show,
    'instance log': instances.Log,
    'instance usage': usage.Usage,
    'instance start': operations.Start,
    'instance stop': operations.Stop,
    'instance reboot': operations.Reboot,
    'instance pause': operations.Pause,
    'instance unpause': operations.Unpause,
    'instance delete': operations.Delete,
    'task list': tasks.List,
    'task show': tasks.Show,
    'task run': tasks.Run,
    'replica list': replicas.List,
    'replica show': replicas.Show,
    'freeze': freeze.Freeze,
    'thaw': freeze.Thaw,
}


class FirstLine(logging.Formatter):
    """One line for each record, unless it brings a traceback."""

    def format(self, record):
        text = super().format(record)
        return text if record.exc_info else text.split('\n', 1)[0]


class ManageApp(app.App):
    """``computed-manage``."""

    NAME = NAME
    LOG = logging.getLogger(NAME)
    # Warnings; each -v shows more.
    DEFAULT_VERBOSE_LEVEL = 0

    def __init__(self, **streams):
        manager = commandmanager.CommandManager()
        for name, command in COMMANDS.items():
            manager.add_command(name, command)
        super().__init__(
            'Look at a deployment of computed, and tell it what to do.',
            computed.__version__, manager, deferred_help=True, **streams)
        self.conf = None

    def build_option_parser(self, description, version,
                            argparse_kwargs=None):
        # Without abbreviations: they would take options of the commands.
        parser = super().build_option_parser(
            description, version, {'prog': NAME, 'allow_abbrev': False})
        parser.add_argument(
            '--config-file', action='append', default=[], metavar='PATH',
            help='Read this file in place of computed.conf in its usual '
                 'places. May be repeated.')
        parser.add_argument(
            '--state-path', metavar='PATH',
            help='The state path of the computed to talk to, if not the '
                 'usual one.')
        return parser

    def configure_logging(self):
        console = logging.StreamHandler(self.stderr)
        console.setFormatter(FirstLine(f'{NAME}: %(message)s'))
        root = logging.getLogger()
        root.addHandler(console)
        root.setLevel({0: logging.WARNING, 1: logging.INFO}.get(
            self.options.verbose_level, logging.DEBUG))
        # Who asked for what it could not load says so, and better.
        logging.getLogger('stevedore').setLevel(logging.ERROR)
        if not self.options.verbose_level:
            # They tell of each failed attempt; ours is the one line.
            for name in ('amqp', 'kombu', 'oslo.messaging',
                         'oslo_messaging', 'sqlalchemy'):
                logging.getLogger(name).setLevel(logging.CRITICAL)
        if self.options.log_file:
            lines = logging.FileHandler(self.options.log_file)
            lines.setFormatter(logging.Formatter(
                self.LOG_FILE_MESSAGE_FORMAT))
            root.addHandler(lines)

    def initialize_app(self, argv):
        if argv and argv[0] not in ('help', 'complete'):
            self.conf = setup.load(config_arguments(self.options), NAME)

    @functools.cached_property
    def session(self):
        """The way to conductors and hosts; made when it is first needed."""
        return base.Session(self.conf)

    def run(self, argv):
        try:
            return super().run(argv)
        finally:
            if 'session' in vars(self):
                self.session.close()

    def run_subcommand(self, argv):
        try:
            self.command_manager.find_command(argv)
        except ValueError:
            self.LOG.error('There is no command %s. Is one of these meant? '
                           '%s.', ' '.join(argv),
                           ', '.join(self.get_fuzzy_matches(argv[0])))
            return USAGE_ERROR
        return super().run_subcommand(argv)

    def interact(self):
        self.parser.error('name a command; --help lists them')


def config_arguments(options):
    """The global options, as the configuration understands them."""
    arguments = []
    for path in options.config_file:
        arguments += ['--config-file', path]
    if options.state_path:
        arguments += ['--state-path', options.state_path]
    return arguments


def main(argv=None):
    """Run one command; returns the exit status."""
    return ManageApp().run(sys.argv[1:] if argv is None else argv)
