"""``db``: the only commands that open the database themselves."""

import argparse
import datetime
import typing

from oslo_config import cfg

from computed.cmd.manage import base
from computed.cmd.manage import columns
from computed.conf import audit_period
from computed.db import cell
from computed.db import engine
from computed.db import routing
from computed.rpc import options
from computed.usage import audits


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


# What `db purge` counts: the rows that go, and those that stay, by reason.
PURGE = ('purged', 'purged_audits', 'kept_claimed', 'kept_guest_left',
         'kept_files_left', 'kept_younger', 'kept_usage')


class Purge(base.ShowOne):
    """Delete the rows of instances that were deleted long ago.

    A row that a task still needs is kept. So are the events, for as long as
    [conductor] event_retention says. If it is interrupted, run it again.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--older-than', metavar='TIME', type=base.duration, required=True,
            help='only instances that were gone for longer, such as 30d')
        parser.add_argument(
            '--dry-run', action='store_true',
            help='delete nothing; show what would be deleted')
        parser.add_argument(
            '--files-given-up', action='store_true',
            help='also instances whose files their host could not remove; '
                 'nobody knows of these files then')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Output:
        url = primary(self.conf, make=False)
        with cell.migration.reachable(url):
            cell.migration.check(url)
            engine = cell.purge.opened(url)
            try:
                found = self._purge(engine, parsed_args)
            finally:
                engine.dispose()
        return self.dict2columns({
            'dry_run': parsed_args.dry_run,
            **{name: found[name.removeprefix('kept_')] for name in PURGE}})

    def _purge(self, engine: typing.Any, parsed_args: argparse.Namespace,
               ) -> dict[str, int]:
        limits = limits_of(
            cell.purge.now(engine), parsed_args.older_than,
            self.conf.tasks.instance_usage_audit_period,
            parsed_args.files_given_up)
        if parsed_args.dry_run:
            return cell.purge.figures(engine, limits)
        purged = {cell.purge.PURGED: cell.purge.purge(engine, limits),
                  cell.purge.AUDITS: cell.purge.purge_audits(engine, limits)}
        return {**cell.purge.figures(engine, limits), **purged}


def limits_of(now: datetime.datetime, older_than: int,
              period: audit_period.Period, failed: bool
              ) -> 'cell.purge.Limits':
    """Return what is old enough at a time.

    :param now: the time of the database
    :param older_than: seconds; so long that no date is so old means: nothing
    :param period: of accounting
    """
    begin = reported = period.last_completed(now)[0]
    for _ in range(audits.MISSED):
        begin = period.before(begin)[0]
    try:
        before = now - datetime.timedelta(seconds=older_than)
    except OverflowError:
        before = datetime.datetime.min
    return cell.purge.Limits(before, reported, begin, failed)


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
