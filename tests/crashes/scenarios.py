"""Every task and operation: from which state, and how it is begun."""

import dataclasses
import time
import typing

from computed import clock
from computed import context
from computed import states
from computed.claims import absence
from computed.claims import kinds
from computed.objects import console_token
from computed.operations import operation
from computed.operations import power
from computed.operations import volumes
from tests.support import waiting

FIRST, SECOND, THIRD, GUEST, VOLUME = (
    f'0000000{number}-0000-4000-8000-000000000000' for number in range(1, 6))


@dataclasses.dataclass(frozen=True)
class Scenario:
    """:ivar rows: ``{uuid: (vm_state, power_state)}`` of the instances
    :ivar guests: ``{uuid: power_state}`` of the guests
    :ivar run: ``run(manager)``
    :ivar files: the uuids of deleted instances that have left files
    :ivar left: whether the deleted ones were deleted without their host
    :ivar stuck: why the driver can remove no files; None: it can
    :ivar asked: whether a user asks for it: again only if nothing came of it
    :ivar volume: what the status of ``VOLUME`` is; None: it is free
    :ivar options: of ``[tasks]``
    """

    rows: dict
    guests: dict
    run: typing.Any
    asked: bool = False
    files: tuple = ()
    left: bool = False
    stuck: str | None = None
    volume: str | None = None
    options: dict = dataclasses.field(default_factory=dict)

    @property
    def building(self):
        """Whether there is an instance to build."""
        return any(state == states.BUILDING for state, _ in
                   self.rows.values())


# The instances were created long ago, and deleted then.
RECLAIM = {'reclaim_instance_interval': 3600}


def period():
    """A period whose last border is some days ago."""
    day = time.gmtime(clock.time()).tm_mday
    return f'month@{15 if day < 8 or day > 22 else 1}'


def _operation(name, vm_state, power_state, guest=True, **options):
    def run(manager):
        getattr(manager, name)(context.new(), FIRST)
        manager.workers.shutdown(wait=True)
    return Scenario({FIRST: (vm_state, power_state)},
                    {FIRST: power_state} if guest else {}, run, asked=True,
                    options=options)


def _volume_operation(name, status):
    def run(manager):
        getattr(volumes, name)(manager, context.new(), FIRST, VOLUME)
        manager.workers.shutdown(wait=True)
    return Scenario({FIRST: (states.ACTIVE, states.RUNNING)},
                    {FIRST: states.RUNNING}, run, asked=True, volume=status)


def _task(rows, guests, name, **options):
    return Scenario(rows, guests,
                    lambda manager: getattr(manager, name)(context.new()),
                    options=options)


def _passes(manager, *names):
    """The first releases what a former life has left claimed."""
    for name in names:
        for _ in range(2):
            getattr(manager, name)(context.new())


def _interrupted(act, method, task, option):
    """The task runs while the driver is asked for the act."""
    def run(manager):
        manager.conf.set_override(option, 1, 'tasks')
        manager.database_time.learn(clock.time() + 3600)
        real = getattr(manager.driver, method)

        def slow(*args):
            manager.bench.pass_an_hour()
            getattr(manager, task)(context.new())
            return real(*args)
        setattr(manager.driver, method, slow)
        getattr(manager, act)(context.new(), FIRST)
        manager.workers.shutdown(wait=True)
    return run


def _record_resources(manager):
    manager.update_available_resource(context.new())
    manager.workers.shutdown(wait=True)


def _stop_both(manager):
    ctxt = context.new()
    wanted = [kinds.Wanted(
        'instance', uuid, {'vm_state': 'active', 'task_state': None},
        {'task_state': states.POWERING_OFF}) for uuid in (FIRST, SECOND)]
    claim = manager.claims.claim_all(ctxt, 'stop', wanted)
    manager.claims.settle_all(ctxt, claim, {
        row.uuid: operation.outcome(manager, power.STOP, claim.of(row))[0]
        for row in claim.rows})


def _clean_up_tokens(manager):
    ctxt, token = context.new(), console_token.ConsoleToken
    token.create(ctxt, FIRST, 64 * 'a', 1)
    waiting.wait_for(lambda: token.get_expired(
        context.new(), manager.host, use_slave=False), 10, 'its end')
    manager._cleanup_expired_console_auth_tokens(ctxt)
    assert token.get_by_hash(ctxt, 64 * 'a', use_slave=False) is None


def _remove_guest(manager):
    ctxt = context.new()
    listing = absence.listing(manager.claims, ctxt)
    guests = manager.driver.list_instances().instances
    for uuid in sorted(guests.keys() - listing.uuids):
        claim = absence.claim(manager.claims, ctxt, listing, uuid, 'remove')
        manager.driver.destroy(claim)
        manager.claims.settle(ctxt, claim)


SCENARIOS = {
    'build_instance': _operation(
        'build_instance', states.BUILDING, states.NOSTATE, guest=False),
    'start_instance': _operation(
        'start_instance', states.STOPPED, states.SHUTDOWN),
    'unpause_instance': _operation(
        'unpause_instance', states.PAUSED, states.POWER_PAUSED),
    **{name: _operation(name, states.ACTIVE, states.RUNNING) for name in (
        'stop_instance', 'reboot_instance', 'reboot_instance_hard',
        'pause_instance', 'delete_instance', 'delete_instance_hard')},
    'attach_volume': _volume_operation('attach', None),
    'detach_volume': _volume_operation('detach', states.ATTACHED),
    'a soft delete': _operation(
        'delete_instance', states.ACTIVE, states.RUNNING, **RECLAIM),
    'restore_instance': _operation(
        'restore_instance', states.SOFT_DELETED, states.SHUTDOWN),
    '_reclaim_queued_deletes': _task(
        {FIRST: (states.SOFT_DELETED, states.SHUTDOWN),
         SECOND: (states.STOPPED, states.SHUTDOWN)},
        {FIRST: states.SHUTDOWN, SECOND: states.SHUTDOWN},
        '_reclaim_queued_deletes', **RECLAIM),
    'a delete that leaves files': dataclasses.replace(_operation(
        'delete_instance', states.ACTIVE, states.RUNNING), stuck='busy'),
    # The files of the third are of nobody.
    '_run_pending_deletes': Scenario(
        {FIRST: (states.DELETED, states.NOSTATE),
         SECOND: (states.DELETED, states.NOSTATE)}, {},
        lambda manager: _passes(manager, '_run_pending_deletes'),
        files=(FIRST, SECOND, THIRD),
        options={'remove_unknown_files': True}),
    **{f'_cleanup_running_deleted_instances{name}': Scenario(
        {FIRST: (states.DELETED, states.NOSTATE),
         SECOND: (states.DELETED, states.NOSTATE)},
        {FIRST: states.RUNNING, SECOND: states.SHUTDOWN},
        lambda manager: _passes(
            manager, '_cleanup_running_deleted_instances',
            '_run_pending_deletes'),
        options={'running_deleted_instance_action': action})
       for name, action in (('', 'reap'), (' that shuts down', 'shutdown'))},
    # One to stop, one whose end is to be recorded, one power state.
    '_sync_power_states': _task(
        {FIRST: (states.STOPPED, states.SHUTDOWN),
         SECOND: (states.ACTIVE, states.RUNNING),
         THIRD: (states.ERROR, states.SHUTDOWN)},
        {FIRST: states.RUNNING, SECOND: states.CRASHED,
         THIRD: states.RUNNING}, '_sync_power_states'),
    'update_available_resource': _task(
        {FIRST: (states.ACTIVE, states.RUNNING)}, {FIRST: states.RUNNING},
        'update_available_resource'),
    '_poll_bandwidth_usage': _task(
        {FIRST: (states.ACTIVE, states.RUNNING)}, {FIRST: states.RUNNING},
        '_poll_bandwidth_usage'),
    '_sync_scheduler_instance_info': _task(
        {FIRST: (states.ACTIVE, states.RUNNING)}, {FIRST: states.RUNNING},
        '_sync_scheduler_instance_info'),
    '_poll_volume_usage': dataclasses.replace(_task(
        {FIRST: (states.ACTIVE, states.RUNNING)}, {FIRST: states.RUNNING},
        '_poll_volume_usage'), volume=states.ATTACHED),
    '_check_instance_build_time': Scenario(
        {FIRST: (states.BUILDING, states.NOSTATE)}, {}, _interrupted(
            'build_instance', 'spawn', '_check_instance_build_time',
            'instance_build_timeout'), asked=True),
    '_poll_rebooting_instances': Scenario(
        {FIRST: (states.ACTIVE, states.RUNNING)}, {FIRST: states.RUNNING},
        _interrupted('reboot_instance', 'reboot',
                     '_poll_rebooting_instances', 'reboot_timeout'),
        asked=True),
    '_instance_usage_audit': _task(
        {FIRST: (states.ACTIVE, states.RUNNING),
         SECOND: (states.STOPPED, states.SHUTDOWN)},
        {FIRST: states.RUNNING, SECOND: states.SHUTDOWN},
        '_instance_usage_audit', instance_usage_audit=True,
        instance_usage_audit_period=period()),
    '_cleanup_expired_console_auth_tokens': Scenario(
        {FIRST: (states.ACTIVE, states.RUNNING)}, {FIRST: states.RUNNING},
        _clean_up_tokens),
    # What no task does yet, and claims can.
    'several instances': Scenario(
        {FIRST: (states.ACTIVE, states.RUNNING),
         SECOND: (states.ACTIVE, states.RUNNING)},
        {FIRST: states.RUNNING, SECOND: states.RUNNING}, _stop_both,
        asked=True),
    # The start of a host records its resources, too.
    'guests left': Scenario(
        {FIRST: (states.DELETED, states.NOSTATE),
         SECOND: (states.DELETED, states.NOSTATE)},
        {FIRST: states.RUNNING}, _record_resources, left=True),
    'a guest without an instance': Scenario(
        {}, {GUEST: states.RUNNING}, _remove_guest),
}
