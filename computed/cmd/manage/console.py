"""``instance console-token`` and ``console verify``: admit to consoles."""

import argparse
import contextlib
import hashlib
import secrets
import sys

from computed import exception
from computed.cmd.manage import base
from computed.cmd.manage import columns
from computed.cmd.manage import lookup
from computed.objects import console_token as token_obj

# The random bytes of a token.
BYTES = 32
# Characters of a token that is read; nobody makes one that is longer.
LONGEST = 1000


def digest(token: str) -> str:
    """Return what the database knows of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def read(path: str | None) -> str:
    """Return the token in a file.

    :param path: None: standard input
    :raises computed.exception.ComputedError: the file cannot be read
    """
    try:
        with contextlib.ExitStack() as stack:
            stream = sys.stdin.buffer if path is None else (
                stack.enter_context(open(path, 'rb')))
            return stream.read(LONGEST).decode(errors='replace').strip()
    except OSError as error:
        raise exception.ComputedError(
            f'{path or "Standard input"} cannot be read: {error.strerror}. '
            'Name the file that has the token.') from error


class Token(base.Command):
    """Print a new token that admits to the console of an instance.

    It is printed once, and stored nowhere: the database has only its SHA-256.
    It is valid for `[consoleauth] token_ttl` seconds, or until the instance
    is deleted.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        base.add_instance(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        instance = lookup.instance(self.context, parsed_args.instance)
        token = secrets.token_urlsafe(BYTES)
        found = token_obj.ConsoleToken.create(
            self.context, instance.uuid, digest(token),
            self.conf.consoleauth.token_ttl)
        self.say(token)
        self.warn(f'It admits to the console of {found.name} until '
                  f'{columns.timestamp(found.expires).human_readable()}.')


class Verify(base.ShowOne):
    """Show to whose console a token admits; exit 1 if it admits to none.

    The token is read from a file, or from standard input. So it is in no list
    of processes and no history of a shell.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'file', metavar='FILE', nargs='?',
            help='the file that has the token (default: standard input)')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Output:
        token = read(parsed_args.file)
        # The primary decides, by its own clock.
        found = token_obj.ConsoleToken.get_by_hash(
            self.context, digest(token), use_slave=False)
        if found is None:
            raise exception.ConsoleTokenInvalid()
        return self.dict2columns(columns.with_damage({
            'uuid': found.uuid, 'name': found.name, 'host': found.host,
            'expires': columns.timestamp(found.expires),
        }, found.damaged_fields()))
