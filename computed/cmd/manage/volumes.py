"""``volume``: files and block devices of hosts that instances can use."""

import argparse
import functools
import typing

from computed import chance
from computed import context as request_context
from computed import exception
from computed.cmd.manage import base
from computed.cmd.manage import columns
from computed.cmd.manage import lookup
from computed.cmd.manage import paging
from computed.objects import host as host_obj
from computed.objects import instance as instance_obj
from computed.objects import volume as volume_obj

COLUMNS = ('uuid', 'name', 'host', 'path', 'status', 'instance')


def describe(volume: volume_obj.Volume) -> dict[str, typing.Any]:
    """Return what a list shows of a volume, by name of the column."""
    return columns.with_damage({
        'uuid': volume.uuid, 'name': volume.name, 'host': volume.host,
        'path': volume.path, 'status': volume.status or 'available',
        'instance': columns.Cell(volume.instance_uuid),
    }, volume.damaged_fields())


def describe_fully(volume: volume_obj.Volume) -> dict[str, typing.Any]:
    """Return all facts about a volume, by name of the row."""
    return {**describe(volume),
            'attachment': columns.Cell(volume.attachment_id),
            'attached_at': columns.timestamp(volume.attached_at),
            'created_at': columns.timestamp(volume.created_at)}


def find(context: request_context.RequestContext, name: str,
         use_slave: bool = False) -> volume_obj.Volume:
    """Return the volume that a user names, by its uuid or its name.

    :raises computed.exception.VolumeNotFound: there is no such volume
    :raises computed.exception.VolumeAmbiguous: several have this name
    """
    if (wanted := lookup.as_uuid(name)) is not None:
        try:
            return volume_obj.Volume.get_by_uuid(
                context, wanted, use_slave=use_slave)
        except exception.VolumeNotFound:
            pass    # but it may be a name that looks like a uuid
    found = list(volume_obj.VolumeList.get_all(
        context, name=name, use_slave=use_slave))
    if not found:
        raise exception.VolumeNotFound(volume=name)
    if len(found) > 1:
        raise exception.VolumeAmbiguous(
            name=name, count=len(found),
            uuids=', '.join(sorted(one.uuid for one in found)))
    return found[0]


def add_volume(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names one volume, as ``volume``."""
    parser.add_argument('volume', metavar='VOLUME',
                        help='name or uuid of the volume')


class Create(base.ShowOne):
    """Make a file or a block device of a host known as a volume.

    Nothing is made on the host; it looks at the path when the volume is
    attached.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('name', metavar='NAME', type=base.name,
                            help='name of the new volume')
        parser.add_argument('--path', required=True, metavar='PATH',
                            type=base.not_empty,
                            help='the file or block device, without symbolic '
                                 'links')
        parser.add_argument('--host', metavar='HOST',
                            help='the host that has it (default: this host)')
        parser.add_argument('--uuid', metavar='UUID', type=base.new_uuid,
                            help='uuid of the new volume (default: a new '
                                 'one). A command that got no answer can be '
                                 'repeated with its uuid')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Output:
        wanted = parsed_args.uuid or chance.uuid()
        try:
            made = volume_obj.Volume.create(
                self.context, wanted, parsed_args.name,
                parsed_args.host or self.conf.host, parsed_args.path)
        except exception.OutcomeUnknown as error:
            raise exception.ComputedError(
                f'{error} Repeat it with --uuid {wanted}.') from error
        return self.dict2columns(describe_fully(made))


class List(base.Lister):
    """List volumes."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('--host', metavar='HOST',
                            help='only volumes of this host')
        parser.add_argument('--name', metavar='NAME',
                            help='only volumes with exactly this name')
        base.add_page(parser)
        base.add_strict(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Output:
        found = paging.rows(
            functools.partial(
                volume_obj.VolumeList.get_all, self.context,
                host=parsed_args.host, name=parsed_args.name,
                use_slave=not parsed_args.strict),
            parsed_args.limit, parsed_args.marker, self.more,
            lambda: parsed_args.host is None or host_obj.Host.get_by_name(
                self.context, parsed_args.host, use_slave=False))
        return COLUMNS, (tuple(describe(one).values()) for one in found)


class Show(base.ShowOne):
    """Show all facts about one volume."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_volume(parser)
        base.add_strict(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Output:
        return self.dict2columns(describe_fully(find(
            self.context, parsed_args.volume,
            use_slave=not parsed_args.strict)))


class Delete(base.Command):
    """Forget a volume that is not attached. Its data stays as it is."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_volume(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        volume = find(self.context, parsed_args.volume)
        volume_obj.Volume.delete(self.context, volume.uuid, volume.host)
        self.say(f'{volume.name}: forgotten; {volume.path} is as it was')


class Change(base.Command):
    """The base of the commands that attach and detach.

    :cvar operation: ``attach`` or ``detach``
    """

    operation = ''

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        base.add_instance(parser)
        add_volume(parser)
        base.add_wait(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        instance = lookup.instance(self.context, parsed_args.instance)
        volume = find(self.context, parsed_args.volume)
        self.session.hosts.change_volume(
            self.context, instance.host, self.operation, instance.uuid,
            volume.uuid)
        if not parsed_args.wait:
            self.say(f'{instance.name}: {self.operation} of {volume.name} '
                     'started')
            return
        self.wait(lambda: instance_obj.Instance.get_by_uuid(
            self.context, instance.uuid, use_slave=False))
        self.say(f'{instance.name}: {volume.name} is {self.operation}ed')


class Attach(Change):
    """Attach a volume of its host to an instance, running or stopped.

    A guest of the process driver sees it as ../volumes/UUID.
    """

    operation = 'attach'


class Detach(Change):
    """Detach a volume from an instance, which must not use it."""

    operation = 'detach'
