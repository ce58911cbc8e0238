"""``host``: show hosts, services and resources; delete hosts that are gone."""

import argparse
import dataclasses
import functools
import typing
from collections import abc

from computed.cmd.manage import base
from computed.cmd.manage import columns
from computed.cmd.manage import lookup
from computed.cmd.manage import paging
from computed.objects import digest
from computed.objects import host as host_obj
from computed.objects import resources as resources_obj

COLUMNS = ('host', 'state', 'frozen', 'last_seen', 'instances', 'tasks',
           'failing', 'overdue', 'version', 'revision', 'damaged')
HYPERVISOR = ('hypervisor_type', 'hypervisor_version')
# What the summary of the tasks of a host says.
DIGEST = ('tasks', 'failing', 'overdue')
# Measured on the host. What is promised to instances is not subtracted.
MEASURED = ('memory_mb_available', 'disk_gb_free')


def describe(host: host_obj.Host, down_after: float) -> dict[str, typing.Any]:
    """Return what a list shows of a host, by name of the column.

    :param down_after: seconds without a heartbeat after which it is down
    """
    service = host.service
    tasks = tasks_of(service) or {}
    damaged = damage(host)
    return columns.with_damage({
        'host': host.name,
        'state': state(host, down_after),
        'frozen': columns.Cell(host.freeze and host.freeze.reason),
        'last_seen': columns.Cell(None) if service is None else columns.Cell(
            columns.timestamp(service.last_seen).machine_readable(),
            f'{columns.span(service.silent_for + age(host))} ago'),
        'instances': host.instances,
        'tasks': columns.Cell(tasks.get('tasks')),
        'failing': columns.names(tasks.get('failing')),
        'overdue': columns.names(tasks.get('overdue')),
        'version': columns.Cell(service and service.version),
        'revision': host.revision,
        'damaged': columns.names(damaged),
    }, cells_of(damaged))


def cells_of(damaged: abc.Iterable[str]) -> set[str]:
    """Return the cells that the damaged parts of a host and service spoil.

    :param damaged: see :func:`damage`
    """
    names = {name.removeprefix('service.') for name in damaged
             if not name.startswith('compute_node.')}
    return names.union(DIGEST if 'digest' in names else ())


def state(host: host_obj.Host, down_after: float) -> columns.Cell:
    """Return whether a host is up, as far as its answer can tell.

    While the primary is down no host can report, so an answer that gets older
    and older says nothing about the hosts.

    :param down_after: seconds without a heartbeat after which it is down
    """
    if host.service is None or not lookup.is_up(host.service, down_after):
        return columns.Cell('down')
    if host.service.silent_for + age(host) <= down_after:
        return columns.Cell('up')
    return columns.Cell('unknown', f'unknown (up {columns.span(age(host))} '
                        'before this answer)')


def age(host: host_obj.Host) -> float:
    """Return how many seconds old the answer about a host can be."""
    return host.origin.age if host.origin else 0


def damage(host: host_obj.Host) -> list[str]:
    """Return the parts of a host whose rows in the database are damaged."""
    found = [*host.damaged_fields(), *(
        f'{name}.{field}' for name in ('service', 'compute_node')
        if (part := getattr(host, name)) is not None
        for field in part.damaged_fields())]
    if tasks_of(host.service) is None:
        found.append('service.digest')
    return found


def describe_fully(host: host_obj.Host,
                   down_after: float) -> dict[str, typing.Any]:
    """Return all facts about a host, by name of the row."""
    service, node = host.service, host.compute_node
    damaged = node.damaged_fields() if node else []
    return columns.with_damage({
        **describe(host, down_after),
        'frozen_since': columns.Cell(host.freeze and host.freeze.since),
        'frozen_by': columns.Cell(host.freeze and host.freeze.by),
        **{name: columns.Cell(node and getattr(node, name))
           for name in HYPERVISOR},
        **{name: inventory(node, name) for name in resources_obj.CLASSES},
        **{name: columns.Cell(node and getattr(node, name))
           for name in MEASURED},
        'service_id': columns.Cell(service and service.service_id),
        'created_at': columns.timestamp(host.created_at),
        'origin': columns.origin(host.origin),
    }, cells_of(damage(host)) | {
        name for name in (*HYPERVISOR, *resources_obj.CLASSES, *MEASURED)
        for field in damaged if field == name or (
            field.startswith(f'{name}_') and field not in MEASURED)})


def inventory(node: host_obj.ComputeNode | None, name: str) -> columns.Cell:
    """Return one class of resources: a line, or all figures for programs.

    :param name: the class, such as ``vcpus``
    """
    if node is None:
        return columns.Cell(None)
    found = resources_obj.inventory(node, name)
    if found is None:
        total = getattr(node, name)
        return columns.Cell({'total': total}, f'total {total}')
    values = {**dataclasses.asdict(found), 'capacity': found.capacity,
              'free': found.free}
    text = '{used} of {capacity} used, {free} free'.format(**values)
    if found.free < 0:
        text += ': OVERCOMMITTED'
    if found.claimed:
        text += ', {claimed} of it being built'.format(**values)
    text += (' (total {total}, reserved {reserved}, '
             'ratio {allocation_ratio:g})'.format(**values))
    return columns.Cell(values, text)


def tasks_of(service: host_obj.Service | None) -> digest.Digest | None:
    """Return the summary of the tasks in the last heartbeat of a host.

    None means that it is damaged.
    """
    return digest.read(service.digest) if service else {}


class List(base.Lister):
    """List all hosts."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        base.add_page(parser)
        base.add_strict(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Output:
        found = paging.rows(
            functools.partial(host_obj.HostList.get_all, self.context,
                              use_slave=not parsed_args.strict),
            parsed_args.limit, parsed_args.marker, self.more)
        down_after = self.conf.service_down_time
        return COLUMNS, (tuple(describe(host, down_after).values())
                         for host in found)


class Show(base.ShowOne):
    """Show one host: its service, its tasks and its resources."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('host', metavar='HOST', nargs='?',
                            help='name of the host (default: this host)')
        base.add_strict(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Output:
        host = host_obj.Host.get_by_name(
            self.context, parsed_args.host or self.conf.host,
            use_slave=not parsed_args.strict)
        return self.dict2columns(describe_fully(
            host, self.conf.service_down_time))


class Delete(base.Command):
    """Delete a host that does not come back.

    The host is deleted with its service, compute node, claims and freeze. The
    primary refuses it while the host may be alive, or has instances. If a
    computed comes back with this name, it registers as a new host.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('host', metavar='HOST', help='name of the host')
        parser.add_argument(
            '--force', action='store_true',
            help='delete it even if it has instances. They stay as they are '
                 'recorded, and `instance delete` then deletes a record '
                 'without the host')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        host = parsed_args.host
        found = host_obj.Host.delete(
            self.context, host, parsed_args.force, base.operator())
        ended = [f'{found["claims"]} claims'] if found['claims'] else []
        ended += ['its freeze'] if found['frozen'] else []
        self.say(f'{host}: deleted' + (
            f'; ended: {", ".join(ended)}' if ended else ''))
        if found['instances']:
            self.say(f'{found["instances"]} instances are left without a '
                     'host. `instance delete` deletes their records.')
