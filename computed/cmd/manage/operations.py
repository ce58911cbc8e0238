"""``instance start`` and the like: have a host do something to instances."""

from computed import exception
from computed import states
from computed.cmd.manage import base
from computed.cmd.manage import lookup
from computed.objects import instance as instance_obj


class Operation(base.Command):
    """Begins one operation on each instance that is named.

    :cvar operation: its name, one of ``computed.rpc.hostapi.OPERATIONS``
    """

    operation = ''

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        parser.add_argument('instances', metavar='NAME_OR_UUID', nargs='+')
        base.add_wait(parser)
        return parser

    def take_action(self, parsed_args):
        """What goes wrong with one instance does not spare the others."""
        begun = self._each(
            parsed_args.instances,
            lambda name: self._begin(name, parsed_args))
        done = begun
        if parsed_args.wait:
            done = self._each(
                begun, lambda instance: self._wait(instance, parsed_args))
        return 0 if len(done) == len(parsed_args.instances) else 1

    def _each(self, things, act):
        """What came of those with which it went well."""
        results = []
        for thing in things:
            try:
                results.append(act(thing))
            except exception.ComputedError as error:
                self.app.LOG.error('%s', error)
        return results

    def _begin(self, name, parsed_args):
        instance = lookup.instance(self.context, name)
        if instance.host is None:
            raise exception.HostUnavailable(host='(none)')
        self.session.hosts.operate(
            self.context, instance.host, self.operation, instance.uuid,
            hard=getattr(parsed_args, 'hard', False))
        if not parsed_args.wait:
            self._say(f'{instance.name}: {self.operation} begun')
        return instance

    def _wait(self, instance, parsed_args):
        instance = lookup.wait(
            lambda: instance_obj.Instance.get_by_uuid(
                self.context, instance.uuid, use_slave=False),
            parsed_args.timeout)
        if self.operation != 'stop':
            lookup.ensure_not_crashed(instance)
        power = states.power_name(instance.power_state)
        self._say(f'{instance.name}: {instance.vm_state}' + (
            '' if instance.deleted else f', {power}'))
        return instance

    def _say(self, line):
        self.app.stdout.write(f'{line}\n')


class Start(Operation):
    """Start instances that were stopped."""

    operation = 'start'


class Stop(Operation):
    """Stop instances; those that do not end by themselves are forced."""

    operation = 'stop'


class Reboot(Operation):
    """Stop and start instances."""

    operation = 'reboot'

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--hard', action='store_true',
            help='force them, whatever state they are in')
        return parser


class Pause(Operation):
    """Freeze instances where they are."""

    operation = 'pause'


class Unpause(Operation):
    """Let paused instances go on."""

    operation = 'unpause'


class Delete(Operation):
    """Destroy instances and all they have kept."""

    operation = 'delete'
