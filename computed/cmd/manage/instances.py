"""``instance``: create, list and show instances."""

import argparse
import functools
import typing
from collections import abc

from computed import chance
from computed import exception
from computed import states
from computed.cmd.manage import base
from computed.cmd.manage import columns
from computed.cmd.manage import lookup
from computed.cmd.manage import paging
from computed.objects import host as host_obj
from computed.objects import instance as instance_obj
from computed.objects import volume as volume_obj
from computed.service import terminal

COLUMNS = ('uuid', 'name', 'host', 'vm_state', 'task_state', 'power_state')
FURTHER = ('command', 'vcpus', 'memory_mb', 'disk_gb', 'network',
           'exit_code', 'fault')
TIMES = ('created_at', 'build_started_at', 'launched_at',
         'task_state_since', 'updated_at')
OF_DELETED = ('deleted_at', 'terminated_at')
# What became of its files.
FILES = ('cleaned', 'clean_attempts', 'clean_failed')
# The host knows these; they are empty if it cannot be asked.
GUEST = dict.fromkeys(
    ('regressed', 'reason', 'interfaces', 'pid', 'started_at'))


def describe(instance: instance_obj.Instance) -> dict[str, typing.Any]:
    """Return what a list shows of an instance, by name of the column."""
    return columns.with_damage({
        'uuid': instance.uuid,
        'name': instance.name,
        'host': columns.Cell(instance.host),
        'vm_state': instance.vm_state,
        'task_state': columns.Cell(instance.task_state),
        'power_state': states.power_name(instance.power_state),
    }, instance.damaged_fields())


def ends(instance: instance_obj.Instance) -> dict[str, typing.Any]:
    """Return when an instance was deleted, and when its guest ended."""
    return columns.with_damage(
        {name: columns.timestamp(getattr(instance, name))
         for name in OF_DELETED}, instance.damaged_fields())


def describe_fully(
        instance: instance_obj.Instance,
        guest: abc.Mapping[str, typing.Any] | None = None,
        volumes: abc.Iterable[volume_obj.Volume] = (),
) -> dict[str, typing.Any]:
    """Return all facts about an instance, by name of the row.

    :param guest: the facts that its hypervisor knows, by name
    :param volumes: those that are attached to it
    """
    shown = {
        **describe(instance),
        **{name: columns.Cell(getattr(instance, name)) for name in FURTHER},
        **{name: columns.timestamp(getattr(instance, name))
           for name in TIMES},
    }
    if instance.deleted or instance.deleted_at is not None:
        shown |= ends(instance)
    if instance.deleted:
        shown |= {name: columns.Cell(getattr(instance, name))
                  for name in FILES}
    shown['volumes'] = guest_cell('volumes', [
        {'name': one.name, 'uuid': one.uuid, 'status': one.status}
        for one in volumes])
    shown['revision'] = instance.revision
    shown = columns.with_damage(shown, instance.damaged_fields())
    shown['origin'] = columns.origin(instance.origin)
    for name, value in {**GUEST, **(guest or {})}.items():
        # The facts of the hypervisor do not replace the recorded ones.
        shown.setdefault(name, guest_cell(name, value))
    return shown


def guest_cell(name: str, value: typing.Any) -> columns.Cell:
    """Return a cell for a fact from a driver, which can have any type."""
    if name.endswith('_at') and isinstance(value, (int, float)):
        return columns.timestamp(value)
    if isinstance(value, list):
        lines = [' '.join(str(part) for part in item.values())
                 if isinstance(item, dict) else str(item) for item in value]
        return columns.Cell(value, lines or '-')
    return columns.Cell(value)


class ShowInstance(base.ShowOne):
    """The base of commands that show an instance and its guest."""

    def guest(
            self, instance: instance_obj.Instance,
    ) -> abc.Mapping[str, typing.Any] | None:
        """Ask the host for the guest; return None if it does not answer."""
        if instance.host is None or instance.deleted:
            return None
        try:
            # Do not wait for the answer of a host that is down.
            service = host_obj.Service.get_by_host(
                self.context, instance.host, use_slave=True)
            if not lookup.is_up(service, self.conf.service_down_time):
                return None
            return self.session.hosts.get_guest(
                self.context, instance.host, instance.uuid)
        except exception.ComputedError:
            return None


class List(base.Lister):
    """List instances."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('--host', metavar='HOST',
                            help='only instances on this host')
        parser.add_argument('--vm-state', metavar='STATE',
                            choices=states.VM_STATES,
                            help='only instances in this state, such as '
                                 'active')
        parser.add_argument('--name', metavar='NAME',
                            help='only instances with exactly this name')
        parser.add_argument('--deleted', action='store_true',
                            help='list deleted instances instead')
        base.add_page(parser)
        base.add_strict(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Output:
        found = paging.rows(
            functools.partial(
                instance_obj.InstanceList.get_all, self.context,
                host=parsed_args.host, vm_state=parsed_args.vm_state,
                name=parsed_args.name, deleted=parsed_args.deleted,
                use_slave=not parsed_args.strict),
            parsed_args.limit, parsed_args.marker, self.more,
            lambda: parsed_args.host is None or host_obj.Host.get_by_name(
                self.context, parsed_args.host, use_slave=False))
        if parsed_args.deleted:
            return (*COLUMNS, *OF_DELETED), (
                tuple({**describe(one), **ends(one)}.values())
                for one in found)
        return COLUMNS, (tuple(describe(instance).values())
                         for instance in found)


class Show(ShowInstance):
    """Show all facts about one instance."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        base.add_instance(parser)
        base.add_strict(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Output:
        instance = lookup.instance_to_show(self.context, parsed_args)
        volumes = volume_obj.VolumeList.get_by_instance(
            self.context, instance.uuid, use_slave=not parsed_args.strict)
        return self.dict2columns(describe_fully(
            instance, self.guest(instance), volumes))


class Create(ShowInstance):
    """Create an instance and build it on a host."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('name', metavar='NAME', type=base.name,
                            help='name of the new instance')
        parser.add_argument('--command', required=True, metavar='COMMAND',
                            type=base.not_empty,
                            help='the command that the instance runs')
        parser.add_argument(
            '--host', metavar='HOST',
            help='the host to build on (default: this host, or the host with '
                 'the fewest instances if this host is down)')
        parser.add_argument('--vcpus', type=base.at_least(1), default=1,
                            metavar='N',
                            help='number of CPUs (default: %(default)s)')
        parser.add_argument('--memory-mb', type=base.at_least(0), default=0,
                            metavar='MIB', help='memory in MiB (default: '
                            '%(default)s, which is no limit)')
        parser.add_argument('--disk-gb', type=base.at_least(0), default=0,
                            metavar='GIB', help='disk space in GiB (default: '
                            '%(default)s, which is no limit)')
        parser.add_argument('--network', choices=('host', 'private'),
                            default='host',
                            help='use the network of the host, or a private '
                                 'one (default: %(default)s)')
        parser.add_argument('--uuid', metavar='UUID', type=base.new_uuid,
                            help='uuid of the new instance (default: a new '
                                 'one). A command that got no answer can be '
                                 'repeated with the uuid that it printed')
        parser.add_argument('--force', action='store_true',
                            help='build it even if the host has no room for '
                                 'it')
        base.add_wait(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Output:
        wanted = parsed_args.uuid or chance.uuid()
        instance = instance_obj.Instance(
            self.context, uuid=wanted, name=parsed_args.name,
            host=self._host(parsed_args.host), vm_state=states.BUILDING,
            power_state=states.NOSTATE, command=parsed_args.command,
            vcpus=parsed_args.vcpus, memory_mb=parsed_args.memory_mb,
            disk_gb=parsed_args.disk_gb, network=parsed_args.network)
        self._record(instance, parsed_args.force)
        # A command that is repeated may find it built, or being built.
        if instance.vm_state == states.BUILDING and not instance.claim_id:
            self._build(instance)
        read = functools.partial(
            instance_obj.Instance.get_by_uuid, self.context, wanted,
            use_slave=False)
        if not parsed_args.wait:
            return self.dict2columns(describe_fully(read()))
        built = self.wait(read)
        lookup.ensure_not_crashed(built)
        return self.dict2columns(describe_fully(built, self.guest(built)))

    def _host(self, wanted: str | None) -> str:
        """Return the host to build on.

        :param wanted: the name that the user gave, or None
        :raises computed.exception.ComputedError: the host cannot build now
        """
        down_after = self.conf.service_down_time
        if wanted is None:
            return lookup.host_for_new(
                paging.rows(functools.partial(
                    host_obj.HostList.get_all, self.context,
                    use_slave=False)),
                self.conf.host, down_after)
        found = host_obj.Host.get_by_name(
            self.context, wanted, use_slave=False)
        if not lookup.is_up(found.service, down_after):
            raise exception.HostUnavailable(host=wanted)
        lookup.ensure_not_frozen(found, 'build')
        return wanted

    def _record(self, instance: instance_obj.Instance, force: bool) -> None:
        """Insert the instance; a second time if the first got no answer.

        :raises computed.exception.ComputedError: it was not inserted, or
            nobody knows
        """
        try:
            instance.create(ensure_room=not force)
        except exception.OutcomeUnknown:
            try:
                instance.create(ensure_room=not force)
            except exception.OutcomeUnknown as error:
                raise exception.ComputedError(
                    f'{error} With --uuid {instance.uuid} it makes no second '
                    'instance.') from error

    def _build(self, instance: instance_obj.Instance) -> None:
        try:
            self.session.hosts.operate(
                self.context, instance.host, 'build', instance.uuid)
        except exception.ComputedError as error:
            raise exception.ComputedError(
                f'Instance {instance.name} ({instance.uuid}) is recorded as '
                f'building, but host {instance.host} did not start: {error}'
            ) from error


class Log(base.Command):
    """Print the end of the output of an instance."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        base.add_instance(parser)
        parser.add_argument(
            '--bytes', type=base.at_least(1), default=65536, metavar='N',
            help='print at most N bytes (default: %(default)s)')
        parser.add_argument(
            '--raw', action='store_true',
            help='print control characters as they are, also on a terminal, '
                 'which obeys them')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        instance = lookup.instance(self.context, parsed_args.instance)
        text = self.session.hosts.get_console_log(
            self.context, instance.host, instance.uuid, parsed_args.bytes)
        if self.app.stdout.isatty() and not parsed_args.raw:
            text = terminal.printable_lines(text)
        self.app.stdout.write(text)
