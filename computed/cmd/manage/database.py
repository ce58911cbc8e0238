"""``db``: the only commands that open the database themselves."""

import argparse

from oslo_config import cfg

from computed.cmd.manage import base
from computed.cmd.manage import columns
from computed.db import cell
from computed.db import engine
from computed.db import routing
from computed.rpc import options


def primary(conf: cfg.ConfigOpts, make: bool) -> str:
    """Return the URL of the primary.

    :param make: make the folder of the standalone database if it is missing;
        see :func:`computed.db.engine.urls.from_conf`
    :raises computed.exception.ConfigError: the URL cannot be used
    """
    return engine.urls.from_conf(
        conf, options.is_standalone(conf), make).primary


class Sync(base.Command):
    """Create the database schema, or upgrade it to the newest version.

    Run it again if it is interrupted or fails: it completes what is missing.
    One process at a time changes the schema, and the others wait.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--wait', metavar='SECONDS', type=base.at_least(0),
            default=cell.migration.WAIT,
            help='how long to wait for another process that changes the '
                 'schema (default: %(default)g)')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        url = primary(self.conf, make=True)
        with cell.migration.reachable(url):
            before, after = cell.migration.sync(url, parsed_args.wait)
        self.say(describe(before, after))


def describe(before: str | None, after: str) -> str:
    """Return a sentence about an upgrade from ``before`` to ``after``."""
    if before != after:
        return f'The schema was {before or "missing"} and is now {after}.'
    newest = cell.migration.known()[-1]
    if after == newest:
        return f'The schema is {after}, which is the newest.'
    return (f'The schema is {after}, which this release does not know: a '
            f'newer release made it. This one knows {newest}. Nothing was '
            'changed.')


class Version(base.ShowOne):
    """Show the schema version of the database, and the one that is needed."""

    def take_action(self, parsed_args: argparse.Namespace) -> base.Output:
        url = primary(self.conf, make=False)
        with cell.migration.reachable(url):
            found = cell.migration.version(url)
        return self.dict2columns({
            'version': columns.Cell(found),
            'needed': cell.migration.NEEDED,
            'newest': cell.migration.known()[-1]})


class NewIncarnation(base.Command):
    """Make every host read everything again, after a restore of the database.

    Run this after you have restored the database from a backup. What hosts
    have read before no longer counts.
    """

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        url = primary(self.conf, make=False)
        with cell.migration.reachable(url):
            cell.migration.check(url)
            number = routing.incarnation.renew(url)
        self.say(f'The incarnation is now {number}. Every host reads '
                 'everything again within '
                 f'{self.conf.database.resync_window:g} s.')
