"""What commands share: the session, the shape of arguments."""

import argparse
import typing

from cliff import command
from cliff import lister
from cliff import show

from computed import context
from computed import objects
from computed.cmd.manage import columns
from computed.conductor import client as conductor_client
from computed.conf import validation
from computed.objects import base
from computed.rpc import hostapi
from computed.rpc import rabbit
from computed.rpc import transport


class Session:
    """The way to conductors and hosts, for one command.

    :ivar context: strict; all calls share it, so that each sees what those
        before it have written
    """

    def __init__(self, conf):
        objects.register_all()
        rabbit.set_brief(conf)
        self._transport = transport.make(conf)
        self.context = context.new()
        self.hosts = hostapi.HostAPI(self._transport)
        self.conductor = conductor_client.ConductorAPI(self._transport)
        base.use_conductor(self.conductor)

    def close(self):
        """Leave nothing behind."""
        self._transport.close()


class Command(command.Command):
    """Each command; one that lists or shows is one of those below."""

    app: typing.Any     # a computed.cmd.manage.app.ManageApp

    @property
    def conf(self):
        return self.app.conf

    @property
    def session(self):
        return self.app.session

    @property
    def context(self):
        return self.app.session.context

    def run(self, parsed_args):
        if not getattr(parsed_args, 'availability', False):
            return super().run(parsed_args)
        self.context.availability = True
        try:
            return super().run(parsed_args)
        finally:
            # An error, too: what a node does not know may be new.
            oldest = self.context.reads.oldest
            if oldest is not None:
                self.app.stdout.flush()
                self.app.stderr.write(
                    'This may be out of date: it is of '
                    f'{oldest.node}, {oldest.age:.0f} s old at most.\n')

    def more(self, marker):
        """Say how to go on with a list that was cut by ``--limit``."""
        self.app.stdout.flush()
        self.app.stderr.write(f'There are more: --marker {marker}\n')

    def get_epilog(self):
        # That of cliff looks up which package each module comes from.
        return ''


class Lister(Command, lister.Lister):
    """A command that lists."""

    def produce_output(self, parsed_args, column_names, data):
        return super().produce_output(parsed_args, column_names, (
            columns.fit(row, parsed_args.formatter) for row in data))


class ShowOne(Command, show.ShowOne):
    """A command that shows one thing."""

    def produce_output(self, parsed_args, column_names, data):
        return super().produce_output(
            parsed_args, column_names,
            columns.fit(data, parsed_args.formatter))


def add_strict(parser):
    """``--strict`` and ``--availability``, for commands whose answer may
    come from a replica.
    """
    either = parser.add_mutually_exclusive_group()
    either.add_argument(
        '--strict', action='store_true',
        help='ask the primary; by default a replica may answer')
    either.add_argument(
        '--availability', action='store_true',
        help='rather an old answer than none, if the primary is down; says '
             'how old')


def add_page(parser):
    """``--limit`` and ``--marker``, for lists that can be long."""
    parser.add_argument(
        '--limit', type=at_least(1), metavar='N',
        help='show at most so many; all if omitted')
    parser.add_argument(
        '--marker', metavar='MARKER',
        help='go on where a list ended that was cut by --limit')


def add_host(parser):
    """``--host``, for commands that ask one host."""
    parser.add_argument(
        '--host', metavar='HOST', help='the host to ask; this one if omitted')


def add_wait(parser):
    """``--wait`` and ``--timeout``, for commands that begin something."""
    parser.add_argument(
        '--wait', action='store_true',
        help='return when it is done; exit with 1 if it failed')
    parser.add_argument(
        '--timeout', type=at_least(1), default=120, metavar='SECONDS',
        help='how long to wait at most (default: %(default)s)')


def at_least(minimum):
    """Return an argument's type: whole numbers from ``minimum`` on."""
    maximum = validation.MAX_INT32

    def parse(text):
        try:
            if minimum <= (value := int(text)) <= maximum:
                return value
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(
            f'{text} is not a whole number from {minimum} to {maximum}')
    return parse


def name(text):
    """An argument's type: the name of something new."""
    if 0 < len(text) <= 255 and text.isprintable() and text == text.strip():
        return text
    raise argparse.ArgumentTypeError(
        'a name has 1 to 255 printable characters and no space around them')


def not_empty(text):
    """An argument's type: anything that is not blank."""
    if text.strip():
        return text
    raise argparse.ArgumentTypeError('it is empty')
