"""Run the program: its global options, its commands, its error messages."""

import argparse
import functools
import io
import logging
import os
import sys
import typing

from cliff import app
from cliff import commandmanager

import computed
from computed import files
from computed.cmd import setup
from computed.cmd.manage import base
from computed.cmd.manage import claims
from computed.cmd.manage import console
from computed.cmd.manage import database
from computed.cmd.manage import events
from computed.cmd.manage import freeze
from computed.cmd.manage import hosts
from computed.cmd.manage import instances
from computed.cmd.manage import operations
from computed.cmd.manage import reconcile
from computed.cmd.manage import replicas
from computed.cmd.manage import tasks
from computed.cmd.manage import usage
from computed.cmd.manage import volume_usage
from computed.cmd.manage import volumes
from computed.logs import printable
from computed.service import terminal

NAME = 'computed-manage'
USAGE_ERROR = 2

COMMANDS: dict[str, typing.Any] = {
    'db sync': database.Sync,
    'db version': database.Version,
    'db new-incarnation': database.NewIncarnation,
    'db purge': database.Purge,
    'host events': events.OfHost,
    'host list': hosts.List,
    'host show': hosts.Show,
    'host delete': hosts.Delete,
    'instance create': instances.Create,
    'instance events': events.OfInstance,
    'instance list': instances.List,
    'instance show': instances.Show,
    'instance log': instances.Log,
    'instance usage': usage.Usage,
    'instance volume-usage': volume_usage.Usage,
    'instance console-token': console.Token,
    'instance start': operations.Start,
    'instance stop': operations.Stop,
    'instance reboot': operations.Reboot,
    'instance pause': operations.Pause,
    'instance unpause': operations.Unpause,
    'instance delete': operations.Delete,
    'instance attach-volume': volumes.Attach,
    'instance detach-volume': volumes.Detach,
    'instance restore': operations.Restore,
    'instance reconcile': reconcile.Reconcile,
    'volume create': volumes.Create,
    'volume list': volumes.List,
    'volume show': volumes.Show,
    'volume delete': volumes.Delete,
    'console verify': console.Verify,
    'claim list': claims.List,
    'claim release': claims.Release,
    'task list': tasks.List,
    'task show': tasks.Show,
    'task run': tasks.Run,
    'replica list': replicas.List,
    'replica show': replicas.Show,
    'freeze': freeze.Freeze,
    'thaw': freeze.Thaw,
}


class FirstLine(logging.Formatter):
    """Print one line for each record, and the traceback if it has one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of ``record``."""
        text = super().format(record)
        return terminal.one_record(
            text if record.exc_info else text.split('\n', 1)[0], record)


class ManageApp(app.App):
    """The program ``computed-manage``."""

    NAME = NAME
    LOG = logging.getLogger(NAME)
    # Show warnings; each -v shows more.
    DEFAULT_VERBOSE_LEVEL = 0

    conf: typing.Any    # a ConfigOpts, once a command runs

    def __init__(self, stdout: typing.TextIO | None = None) -> None:
        """Make the program.

        :param stdout: where to print; None: the standard output
        """
        manager = commandmanager.CommandManager()
        for name, command in COMMANDS.items():
            manager.add_command(name, command)
        super().__init__(
            'Show and control a deployment of computed.',
            computed.__version__, manager, stdout=stdout,
            deferred_help=True)
        self.conf = None
        for stream in (self.stdout, self.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A name can have characters that the terminal does not.
                stream.reconfigure(errors='backslashreplace')

    def build_option_parser(
            self, description: str | None, version: str | None,
            argparse_kwargs: dict[str, typing.Any] | None = None,
    ) -> argparse.ArgumentParser:
        """Return the parser of the global options."""
        # Allow no abbreviations: they would match options of the commands.
        parser = super().build_option_parser(
            description, version, {'prog': NAME, 'allow_abbrev': False})
        parser.add_argument(
            '--config-file', action='append', default=[], metavar='PATH',
            help='Read this configuration file instead of computed.conf in '
                 'the standard folders. Can be repeated.')
        parser.add_argument(
            '--state-path', metavar='PATH',
            help='The state path of the service to talk to, if it is not the '
                 'default.')
        return parser

    def configure_logging(self) -> None:
        """Log to standard error, and to the file of ``--log-file``."""
        console = logging.StreamHandler(self.stderr)
        console.setFormatter(FirstLine(f'{NAME}: %(message)s'))
        root = logging.getLogger()
        root.addHandler(console)
        root.setLevel({0: logging.WARNING, 1: logging.INFO}.get(
            self.options.verbose_level, logging.DEBUG))
        # The caller of a plugin that cannot be loaded gives a better message.
        logging.getLogger('stevedore').setLevel(logging.ERROR)
        if not self.options.verbose_level:
            # These log each failed attempt. The error of the command is one
            # line.
            for name in ('amqp', 'kombu', 'oslo.messaging',
                         'oslo_messaging', 'sqlalchemy'):
                logging.getLogger(name).setLevel(logging.CRITICAL)
        if self.options.log_file:
            try:
                files.make_log(self.options.log_file)
                lines = logging.FileHandler(self.options.log_file)
            except OSError as error:
                raise setup.unusable_log('--log-file', error) from None
            lines.setFormatter(terminal.Formatter(
                logging.Formatter(self.LOG_FILE_MESSAGE_FORMAT), False))
            root.addHandler(lines)

    def initialize_app(self, argv: list[str]) -> None:
        """Read the configuration, unless only help is wanted."""
        if argv and argv[0] not in ('help', 'complete'):
            self.conf = setup.load(config_arguments(self.options), NAME)

    @functools.cached_property
    def session(self) -> base.Session:
        """Return the session, which is made when it is first needed."""
        return base.Session(self.conf)

    def run(self, argv: list[str]) -> int:
        """Run one command and close the session; return the exit status."""
        try:
            return super().run(argv)
        finally:
            if 'session' in vars(self):
                self.session.close()

    def run_subcommand(self, argv: list[str]) -> int:
        """Run the command that ``argv`` names; return the exit status."""
        try:
            self.command_manager.find_command(argv)
        except ValueError:
            self.LOG.error('There is no command %s. Do you mean one of '
                           'these? %s.', ' '.join(argv),
                           ', '.join(self.get_fuzzy_matches(argv[0])))
            return USAGE_ERROR
        return super().run_subcommand(argv)

    def interact(self) -> None:
        """Refuse to run without a command."""
        self.parser.error('a command is missing; --help lists all commands')


def config_arguments(options: argparse.Namespace) -> list[str]:
    """Return the global options as arguments of oslo.config."""
    arguments: list[str] = []
    for path in options.config_file:
        arguments += ['--config-file', path]
    if options.state_path:
        arguments += ['--state-path', options.state_path]
    return arguments


def main(argv: list[str] | None = None) -> int:
    """Run one command; return the exit status.

    :param argv: the arguments, without the program; None: those of the
        process
    """
    argv = setup.arguments_of(argv)
    if problem := setup.undecodable(argv):
        print(f'{NAME}: {printable.escaped(problem)}', file=sys.stderr)
        return USAGE_ERROR
    os.umask(setup.UMASK)   # before the file of --log-file is made
    return ManageApp().run(argv)
