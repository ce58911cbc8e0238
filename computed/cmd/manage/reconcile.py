"""``instance reconcile``: decide after the database went back in time."""

import argparse
import functools
import typing

from computed import exception
from computed.cmd.manage import lookup
from computed.cmd.manage import operations
from computed.cmd.manage import paging
from computed.objects import host as host_obj


class Held(typing.NamedTuple):
    """An instance, and the host that holds it."""

    host: str | None
    uuid: str
    name: str


class Reconcile(operations.OnInstances):
    """Decide about instances that are held.

    An instance is held if the database went back in time, by a restore or a
    failover, and lacks what the host has recorded since.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('instances', metavar='NAME_OR_UUID', nargs='*',
                            help='names or uuids of instances')
        parser.add_argument('--all-regressed', action='store_true',
                            help='all instances that are held')
        parser.add_argument('--host', metavar='HOST',
                            help='with --all-regressed: only on this host')
        keep = parser.add_mutually_exclusive_group(required=True)
        keep.add_argument(
            '--keep-guest', action='store_true',
            help='correct the record by what the guest is now')
        keep.add_argument(
            '--keep-record', action='store_true',
            help='let the record count; the host then acts on it, and may '
                 'stop the guest')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Decide about each instance, even after an error.

        :raises computed.exception.ComputedError: none was named
        """
        if bool(parsed_args.instances) == parsed_args.all_regressed:
            raise exception.ComputedError(
                'Name instances, or give --all-regressed.')
        wanted, complete = self._wanted(parsed_args)
        done = self._each(
            wanted, lambda one: self._reconcile(one, parsed_args.keep_guest))
        return 0 if complete and len(done) == len(wanted) else 1

    def _reconcile(self, one: Held, keep_guest: bool) -> Held:
        self.session.hosts.reconcile(
            self.context, one.host, one.uuid, keep_guest)
        self.say(f'{one.name}: the {"guest" if keep_guest else "record"} is '
                 'kept')
        return one

    def _wanted(self, parsed_args: argparse.Namespace
                ) -> tuple[list[Held], bool]:
        """Return the instances, and whether all could be found."""
        if not parsed_args.all_regressed:
            named = self._each(
                parsed_args.instances,
                functools.partial(lookup.instance, self.context))
            return ([Held(one.host, one.uuid, one.name) for one in named],
                    len(named) == len(parsed_args.instances))
        hosts = [parsed_args.host] if parsed_args.host else [
            host.name for host in paging.rows(functools.partial(
                host_obj.HostList.get_all, self.context, use_slave=False))
            if lookup.is_up(host.service, self.conf.service_down_time)]
        answers = self._each(hosts, self._held_on)
        return ([one for answer in answers for one in answer],
                len(answers) == len(hosts))

    def _held_on(self, host: str) -> list[Held]:
        return [Held(host, one['uuid'], one['name']) for one
                in self.session.hosts.list_regressed(self.context, host)]
