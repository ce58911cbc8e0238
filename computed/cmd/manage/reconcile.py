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
    failover, and lacks what the host has recorded since. If it lacks the
    instance itself, its host is asked for the name. No guest is destroyed by
    this command.
    """

    least = '*'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('--all-regressed', action='store_true',
                            help='all instances that are held')
        parser.add_argument('--host', metavar='HOST',
                            help='only instances that this host holds')
        keep = parser.add_mutually_exclusive_group(required=True)
        keep.add_argument(
            '--keep-guest', action='store_true',
            help='correct the record by what the guest is now; make it again '
                 'if it is lost')
        keep.add_argument(
            '--keep-record', action='store_true',
            help='let the record count; the host then acts on it, and may '
                 'stop the guest. A guest whose record is lost is left alone')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Decide about each instance, even after an error.

        :raises computed.exception.ComputedError: none was named
        """
        if bool(parsed_args.instances) == parsed_args.all_regressed:
            raise exception.ComputedError(
                'Name instances, or give --all-regressed.')
        wanted, complete = self._wanted(parsed_args)
        done = self.each(
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
        if parsed_args.all_regressed:
            return self._held(parsed_args.host)
        named = self.each(
            parsed_args.instances,
            lambda name: self._named(name, parsed_args.host))
        return named, len(named) == len(parsed_args.instances)

    def _named(self, name: str, host: str | None) -> Held:
        """Return the instance that a user names.

        :param host: where it is held; None: the database tells, or any host
        :raises computed.exception.ComputedError: there is no such instance,
            or several have this name
        """
        if host is None:
            try:
                found = lookup.instance(self.context, name)
                return Held(found.host, found.uuid, found.name)
            except exception.InstanceNotFound:
                pass    # perhaps the database has lost it
        held = self._held(host)[0]
        uuid = lookup.as_uuid(name)
        return lookup.the_one(name, [one for one in held if one.uuid == uuid]
                              or [one for one in held if one.name == name])

    def _held(self, host: str | None) -> tuple[list[Held], bool]:
        """Return what hosts hold, and whether all hosts have answered.

        :param host: None: all hosts that are up
        """
        hosts = [host] if host else [
            host.name for host in paging.rows(functools.partial(
                host_obj.HostList.get_all, self.context, use_slave=False))
            if lookup.is_up(host.service, self.conf.service_down_time)]
        answers = self.each(hosts, self._held_on)
        return ([one for answer in answers for one in answer],
                len(answers) == len(hosts))

    def _held_on(self, host: str) -> list[Held]:
        return [Held(host, one['uuid'], one['name']) for one
                in self.session.hosts.list_regressed(self.context, host)]
