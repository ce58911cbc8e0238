"""``instance start`` and other operations that hosts do on instances."""

import argparse
import contextlib

from computed import exception
from computed import states
from computed.cmd.manage import base
from computed.cmd.manage import lookup
from computed.objects import instance as instance_obj


class OnInstances(base.Command):
    """The base of commands that do the same to several instances.

    :cvar least: how many must be named, as ``nargs`` of argparse
    """

    least = '+'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('instances', metavar='NAME_OR_UUID',
                            nargs=self.least,
                            help='names or uuids of instances')
        return parser


class Operation(OnInstances):
    """The base of commands that start one operation on each named instance.

    :cvar operation: its name, one of ``computed.rpc.hostapi.OPERATIONS``
    :cvar hard: the option of the command that asks for its hard kind
    """

    operation = ''
    hard = 'hard'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        base.add_wait(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Start the operation on each instance, even after an error."""
        started = self.each(
            parsed_args.instances,
            lambda name: self._start(name, parsed_args))
        done = started
        if parsed_args.wait:
            done = self.each(started, self._wait)
        return 0 if len(done) == len(parsed_args.instances) else 1

    def _start(self, name: str,
               parsed_args: argparse.Namespace) -> instance_obj.Instance:
        return self._begin(lookup.instance(self.context, name), parsed_args)

    def _begin(self, instance: instance_obj.Instance,
               parsed_args: argparse.Namespace) -> instance_obj.Instance:
        if instance.host is None:
            raise exception.HostUnavailable(host='(none)')
        self.session.hosts.operate(
            self.context, instance.host, self.operation, instance.uuid,
            hard=getattr(parsed_args, self.hard, False))
        if not parsed_args.wait:
            self.say(f'{instance.name}: {self.operation} started')
        return instance

    def _wait(self, instance: instance_obj.Instance) -> instance_obj.Instance:
        instance = self.wait(lambda: instance_obj.Instance.get_by_uuid(
            self.context, instance.uuid, use_slave=False))
        if self.operation not in ('stop', 'delete'):
            lookup.ensure_not_crashed(instance)
        power = states.power_name(instance.power_state)
        self.say(f'{instance.name}: {instance.vm_state}' + (
            '' if instance.deleted else f', {power}'))
        return instance


class Start(Operation):
    """Start stopped instances."""

    operation = 'start'


class Stop(Operation):
    """Stop instances; kill those that do not shut down in time."""

    operation = 'stop'


class Reboot(Operation):
    """Stop and start instances."""

    operation = 'reboot'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--hard', action='store_true',
            help='kill and start them, in any state')
        return parser


class Pause(Operation):
    """Pause running instances."""

    operation = 'pause'


class Unpause(Operation):
    """Resume paused instances."""

    operation = 'unpause'


class Restore(Operation):
    """Bring instances back that are soft-delete, and start them."""

    operation = 'restore'


class Delete(Operation):
    """Delete instances and all their data.

    If the host has a reclaim_instance_interval, an instance becomes
    soft-delete first, and `instance restore` brings it back.

    If the host of an instance is deleted, the record is deleted without it.
    Should that host come back, it destroys the guest.
    """

    operation = 'delete'
    hard = 'force'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--force', action='store_true',
            help='delete it at once, so that it cannot be restored; if the '
                 'host is silent, delete the record without it, too')
        return parser

    def _begin(self, instance: instance_obj.Instance,
               parsed_args: argparse.Namespace) -> instance_obj.Instance:
        if parsed_args.force:
            # Do not wait for the answer of a host that is gone.
            with contextlib.suppress(exception.HostHeard):
                return self._on_record(instance, force=True)
        try:
            return super()._begin(instance, parsed_args)
        except exception.HostUnavailable as error:
            try:
                return self._on_record(instance, parsed_args.force)
            except exception.HostHeard as refusal:
                raise (refusal if parsed_args.force else error) from None

    def _on_record(self, instance: instance_obj.Instance,
                   force: bool) -> instance_obj.Instance:
        """Delete an instance without its host.

        :raises computed.exception.ComputedError: the primary refuses it
        """
        deleted = instance_obj.Instance.delete_on_record(
            self.context, instance.uuid, instance.host, force)
        self.say(f'{instance.name}: deleted without its host' + (
            f'. If {instance.host} comes back, it destroys the guest'
            if instance.host else ''))
        return deleted
