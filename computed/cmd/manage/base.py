"""What commands share: the session, their base classes, their arguments."""

import argparse
import getpass
import re
import socket
import typing
from collections import abc

from cliff import command
from cliff import lister
from cliff import show
from oslo_config import cfg

from computed import context
from computed import exception
from computed import names
from computed import objects
from computed.cmd.manage import columns
from computed.cmd.manage import lookup
from computed.cmd.manage import suggest
from computed.conductor import client as conductor_client
from computed.conf import validation
from computed.logs import printable
from computed.objects import base
from computed.objects import instance as instance_obj
from computed.rpc import hostapi
from computed.rpc import rabbit
from computed.rpc import transport

# What a command that lists or shows returns: the names of the columns, and
# the rows, or the cells of the only row.
Output: typing.TypeAlias = tuple[abc.Sequence[str], abc.Iterable[typing.Any]]

# Seconds of the units of a duration.
UNITS = {'s': 1, 'min': 60, 'h': 3600, 'd': 86400}

T = typing.TypeVar('T')
R = typing.TypeVar('R')


class Session:
    """The connections of one command to conductors and hosts.

    :ivar context: strict; all calls of the command share it, so each call
        sees what earlier calls have written
    :ivar hosts: calls methods of hosts
    :ivar conductor: calls methods of conductors
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        """Make the session; connect at the first call.

        :raises computed.exception.ConfigError: ``transport_url`` cannot be
            used
        """
        objects.register_all()
        rabbit.set_brief(conf)
        self._transport = transport.make(conf)
        self.context = context.new(asked_by=operator())
        self.hosts = hostapi.HostAPI(self._transport)
        self.conductor = conductor_client.ConductorAPI(self._transport)
        base.use_conductor(self.conductor)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()


class Command(command.Command):
    """The base of every command."""

    app: typing.Any     # a computed.cmd.manage.app.ManageApp
    arguments: argparse.Namespace

    @property
    def conf(self) -> cfg.ConfigOpts:
        """Return the configuration of this process."""
        return self.app.conf

    @property
    def session(self) -> Session:
        """Return the session of this process."""
        return self.app.session

    @property
    def context(self) -> context.RequestContext:
        """Return the context of all calls of this command."""
        return self.app.session.context

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run the command; suggest a name in place of an unknown one.

        With ``--availability``, print how old the answers can be.

        :raises computed.exception.ComputedError: the command has failed
        """
        self.arguments = parsed_args
        try:
            return self._run(parsed_args)
        except exception.ComputedError as error:
            raise exception.ComputedError(self.explained(error)) from error

    def known_names(self) -> list[suggest.Source]:
        """Return which names can be meant, for each error about a name."""
        return [
            (exception.InstanceNotFound, 'instance',
             lambda: suggest.instances(self.context)),
            (exception.VolumeNotFound, 'volume',
             lambda: suggest.volumes(self.context)),
            (exception.HostNotFound, 'host',
             lambda: suggest.hosts(self.context)),
            (exception.HostUnavailable, 'host',
             lambda: suggest.hosts(self.context))]

    def explained(self, error: exception.ComputedError) -> str:
        """Return the text of an error, with the name that can be meant."""
        return suggest.explained(error, self.known_names())

    def wait(self, read: abc.Callable[[], instance_obj.Instance],
             ) -> instance_obj.Instance:
        """Wait as ``--wait`` and ``--timeout`` say; see :func:`lookup.wait`.

        :raises computed.exception.ComputedError: the work has failed, or was
            not finished in time
        """
        try:
            return lookup.wait(read, self.arguments.timeout)
        except KeyboardInterrupt:
            self.warn('Only the waiting has ended: the host goes on with the '
                      'work. `computed-manage instance list` shows its end.')
            raise

    def _run(self, parsed_args: argparse.Namespace) -> int:
        if not getattr(parsed_args, 'availability', False):
            return super().run(parsed_args)
        self.context.availability = True
        try:
            return super().run(parsed_args)
        finally:
            # Also after an error: a node that lags may not know a new row.
            oldest = self.context.reads.oldest
            if oldest is not None:
                self.app.stdout.flush()
                self.warn('This may be out of date: it comes from '
                          f'{oldest.node}, {oldest.age:.0f} s old at most.')

    def each(self, things: abc.Iterable[T],
             act: abc.Callable[[T], R]) -> list[R]:
        """Act on each; log an error, and go on with the others.

        :returns: the results of the calls that have succeeded
        """
        results = []
        for thing in things:
            try:
                results.append(act(thing))
            except exception.ComputedError as error:
                self.app.LOG.error('%s', self.explained(error))
        return results

    def more(self, marker: str) -> None:
        """Tell how to continue a list that ``--limit`` has cut."""
        self.app.stdout.flush()
        self.warn(f'There are more. Continue with --marker {marker}')

    def say(self, line: str) -> None:
        """Print one line."""
        self.app.stdout.write(f'{printable.escaped(line)}\n')

    def warn(self, line: str) -> None:
        """Print one line to standard error."""
        self.app.stderr.write(f'{printable.escaped(line)}\n')

    def get_epilog(self) -> str:
        """Return nothing: cliff's epilog would name the Python package."""
        return ''


class Lister(Command, lister.Lister):
    """The base of a command that lists."""

    def produce_output(self, parsed_args: argparse.Namespace,
                       column_names: abc.Sequence[str],
                       data: abc.Iterable[typing.Any]) -> int:
        """Print the rows as ``--format`` asks."""
        formatter = parsed_args.formatter
        return super().produce_output(
            parsed_args, columns.fit(column_names, formatter),
            (columns.fit(row, formatter) for row in data))


class ShowOne(Command, show.ShowOne):
    """The base of a command that shows one thing."""

    def produce_output(self, parsed_args: argparse.Namespace,
                       column_names: abc.Sequence[str],
                       data: abc.Sequence[typing.Any]) -> int:
        """Print the cells as ``--format`` asks."""
        formatter = parsed_args.formatter
        return super().produce_output(
            parsed_args, columns.fit(column_names, formatter),
            columns.fit(data, formatter))


def operator() -> str:
    """Return who runs this command, so that others can ask this person."""
    return f'{getpass.getuser()}@{socket.gethostname()}'


# -- arguments

def add_instance(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names one instance, as ``instance``."""
    parser.add_argument('instance', metavar='NAME_OR_UUID',
                        help='name or uuid of the instance')


def add_strict(parser: argparse.ArgumentParser) -> None:
    """Add ``--strict`` and ``--availability``, for tolerant commands."""
    either = parser.add_mutually_exclusive_group()
    either.add_argument(
        '--strict', action='store_true',
        help='ask the primary; by default a replica may answer')
    either.add_argument(
        '--availability', action='store_true',
        help='accept an answer of any age if the primary is down, and print '
             'how old it can be')


def add_page(parser: argparse.ArgumentParser) -> None:
    """Add ``--limit`` and ``--marker``, for lists that can be long."""
    parser.add_argument(
        '--limit', type=at_least(1), metavar='N',
        help='show at most N rows (default: all)')
    parser.add_argument(
        '--marker', metavar='MARKER',
        help='continue a list that --limit has cut')


def add_host(parser: argparse.ArgumentParser) -> None:
    """Add ``--host``, for commands that ask one host."""
    parser.add_argument(
        '--host', metavar='HOST', help='the host to ask (default: this host)')


def add_wait(parser: argparse.ArgumentParser) -> None:
    """Add ``--wait`` and ``--timeout``, for commands that start something."""
    parser.add_argument(
        '--wait', action='store_true',
        help='wait until it is done; exit with 1 if it has failed')
    parser.add_argument(
        '--timeout', type=at_least(1), default=120, metavar='SECONDS',
        help='with --wait: wait at most this long (default: %(default)s)')


# -- types of arguments

def at_least(minimum: int) -> abc.Callable[[str], int]:
    """Return a type for whole numbers from ``minimum`` to MAX_INT32."""
    def parse(text: str) -> int:
        try:
            if minimum <= (value := int(text)) <= validation.MAX_INT32:
                return value
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(
            f'{text} is not a whole number from {minimum} to '
            f'{validation.MAX_INT32}')
    return parse


def duration(text: str) -> int:
    """Return seconds; a type for arguments.

    :param text: such as ``30min``, ``2h`` or ``7d``
    :raises argparse.ArgumentTypeError: it is none
    """
    if found := re.fullmatch(r'(\d{1,9})(s|min|h|d)', text, re.ASCII):
        return int(found[1]) * UNITS[found[2]]
    raise argparse.ArgumentTypeError(
        f'{text} is no time, such as 30min, 2h or 7d')


def name(text: str) -> str:
    """Check the name of a new instance; a type for arguments.

    :raises argparse.ArgumentTypeError: it cannot be a name
    """
    if names.fits(text):
        return text
    raise argparse.ArgumentTypeError(names.RULE)


def new_uuid(text: str) -> str:
    """Return a uuid in its usual form; a type for arguments.

    :raises argparse.ArgumentTypeError: it is not a uuid
    """
    if (found := lookup.as_uuid(text)) is not None:
        return found
    raise argparse.ArgumentTypeError(
        f'{text} is not a uuid. Leave it out to get a new one')


def not_empty(text: str) -> str:
    """Refuse a text without visible characters; a type for arguments.

    :raises argparse.ArgumentTypeError: the text is blank
    """
    if text.strip():
        return text
    raise argparse.ArgumentTypeError('it is empty')
