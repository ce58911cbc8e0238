"""update_available_resource: record what this host has and has promised.

What is promised is a sum over the instances that the primary has assigned to
this host, never a measurement. Measured figures are recorded beside it, for
operators. The record is written only if it changed.
"""

import typing

from oslo_config import cfg
from oslo_log import log as logging

from computed import context as computed_context
from computed import exception
from computed import periodic
from computed.logs import seldom
from computed.objects import host as host_obj
from computed.objects import resources as resources_obj
from computed.operations import left

if typing.TYPE_CHECKING:
    from computed import manager as manager_module
    from computed.virt import driver

Context = computed_context.RequestContext
Manager: typing.TypeAlias = 'manager_module.ComputeManager'
Values: typing.TypeAlias = dict[str, typing.Any]

LOG = logging.getLogger(__name__)
_lines = seldom.Seldom(LOG)

# Measured figures, and the totals they belong to.
MEASURED = {'memory_mb_available': 'memory_mb', 'disk_gb_free': 'disk_gb'}
# Measured figures change all the time. A recorded one differs by at most this
# part of the total, or is at most this many seconds old.
STEP = 0.05
MAX_AGE = 600

_MIB_PER_GIB = 1024


def compose(has: 'driver.HostResources', usage: typing.Any,
            options: cfg.ConfigOpts) -> Values:
    """Return what to record of a host. Pure.

    :param usage: the :class:`computed.objects.resources.ResourceUsage`
    :param options: the options of ``[compute]``
    :returns: ``{field of ComputeNode: value}``
    """
    values = {
        name: getattr(has, name) for name in (
            'hypervisor_type', 'hypervisor_version',
            *resources_obj.CLASSES, *MEASURED)}
    values.update(
        vcpus_reserved=options.reserved_host_cpus,
        memory_mb_reserved=options.reserved_host_memory_mb,
        # Rounded up: a GiB of which part is reserved is not free.
        disk_gb_reserved=-(-options.reserved_host_disk_mb // _MIB_PER_GIB),
        vcpus_allocation_ratio=options.cpu_allocation_ratio,
        memory_mb_allocation_ratio=options.ram_allocation_ratio,
        disk_gb_allocation_ratio=options.disk_allocation_ratio)
    for name in resources_obj.CLASSES:
        for kind in ('used', 'claimed'):
            values[f'{name}_{kind}'] = getattr(usage, f'{name}_{kind}')
    return values


def changed(node: typing.Any, values: Values,
            age: float | None) -> list[str]:
    """Return the names of the values that are worth a write. Pure.

    :param node: the recorded ComputeNode, or None
    :param age: seconds since it was recorded; None without a record
    """
    if node is None or age is None:
        return sorted(values)
    differing = {name for name, value in values.items()
                 if getattr(node, name) != value}
    if age < MAX_AGE and all(_is_jitter(node, values, name)
                             for name in differing):
        return []
    return sorted(differing)


def _is_jitter(node: typing.Any, values: Values, name: str) -> bool:
    if name not in MEASURED or getattr(node, name) is None:
        return False
    moved = abs(values[name] - getattr(node, name))
    return moved < STEP * values[MEASURED[name]]


@periodic.periodic_task(spacing='update_resources_interval', reads={
    'what the instances of its host take': 'R2',
    'what is recorded of its host': 'R0'})
def update_available_resource(manager: Manager,
                              context: Context) -> periodic.Report:
    """Record what this host has and what of it is promised."""
    try:
        return update(manager, context)
    except exception.DriverHangs:
        raise       # it needs a person: the run fails
    except exception.DriverNotReady as error:
        return periodic.Report(note=str(error))


def update(manager: Manager, context: Context) -> periodic.Report:
    """Record it at the start of the service, which waits for the driver.

    :raises computed.exception.DriverNotReady: nothing is known, so nothing
        is recorded
    """
    # Measured first, so that little time passes between sum and record.
    has = manager.calls.host_resources()
    service_id = manager.claims.service_id
    usage = resources_obj.ResourceUsage.get_by_host(
        context, manager.host, service_id, after='host')
    manager.database_time.learn(usage.now.timestamp())
    report = periodic.Report()
    values = {**compose(has, usage, manager.conf.compute),
              'service_id': service_id}
    if names := changed(usage.compute_node, values, usage.node_age):
        record(manager, context, usage.compute_node, values, names, report)
    if usage.former:
        forget(manager, context, usage.former, report)
    if usage.guests_left:
        destroy_left(manager, context, report)
    return report


def destroy_left(manager: Manager, context: Context,
                 report: periodic.Report) -> None:
    """Begin to destroy guests of instances that were deleted without us.

    No trouble with them stops a start or the record of this host.
    """
    try:
        begun = left.begin(manager, context)
    except exception.Frozen as error:
        report.note = str(error)
    except exception.ComputedError as error:
        report.note = f'guests of deleted instances are left: {error}'
        _lines.warn('The guests of instances that were deleted while this '
                    'host was away are left to the next pass: %s', error)
    else:
        report.note = (f'destroying the guests of {begun} instances that '
                       'were deleted while this host was away')


def record(manager: Manager, context: Context, node: typing.Any,
           values: Values, names: list[str],
           report: periodic.Report) -> None:
    """Write ``values``, unless the record has changed since it was read."""
    if host_obj.ComputeNode.record(
            context, manager.host, values, node and node.generation):
        report.note = f'written: {", ".join(names) if node else "all"}'
        warn(values, names)
    else:
        report.note = ('another writer has changed the record; it is left to '
                       'the next run')


def warn(values: Values, names: list[str]) -> None:
    """Warn an operator of what has just changed."""
    for name in resources_obj.CLASSES:
        reserved = f'{name}_reserved'
        if values[name] <= values[reserved] and (
                values[name] and {name, reserved}.intersection(names)):
            LOG.warning('Nothing of %(name)s is left for instances: of '
                        '%(total)s, %(reserved)s are reserved. See the '
                        'reserved_host_* options in [compute].',
                        {'name': name, 'total': values[name],
                         'reserved': values[reserved]})


def forget(manager: Manager, context: Context, former: str,
           report: periodic.Report) -> None:
    """Delete what this host had recorded under a former name."""
    if host_obj.ComputeNode.delete_former(
            context, manager.host, former, manager.claims.service_id):
        LOG.info('Host %(former)s is %(host)s now; its compute node is '
                 'deleted.', {'former': former, 'host': manager.host})
    else:
        report.note = (f'the compute node of {former} has our identity and '
                       'is kept: that host sends heartbeats')
