"""How to ask a host for something."""

import oslo_messaging as messaging

from computed import exception
from computed.rpc import errors
from computed.rpc import serializer

TOPIC = 'compute'

# What a user may ask of an instance, by the name of the command.
OPERATIONS = ('build', 'delete', 'start', 'stop', 'reboot', 'pause',
              'unpause')


def target(host):
    """Where ``host`` listens."""
    return messaging.Target(topic=TOPIC, server=host, version='1.0')


class HostAPI:
    """Calls to one host or another."""

    def __init__(self, transport):
        self._transport = transport
        self._client = transport.client(
            messaging.Target(topic=TOPIC, version='1.0'),
            serializer=serializer.BackportingSerializer(),
            version_cap=transport.conf.upgrade_levels.compute)
        self._timeout = transport.conf.rpc_response_timeout

    def _call(self, context, host, method, **kwargs):
        if not host:    # it would mean: whichever host is quickest
            raise exception.HostUnavailable(host='(none)')
        missing = exception.HostUnavailable(host=host)
        servers = self._transport.servers(f'{TOPIC}.{host}')
        with errors.translated(missing, method, self._timeout), \
                servers.reached():
            return self._client.prepare(server=host).call(
                context, method, **kwargs)

    def operate(self, context, host, operation, uuid, hard=False):
        """Begin one of ``OPERATIONS``; returns once it is claimed.

        :raises computed.exception.ComputedError: why it cannot be begun
        """
        method = f'{operation}_instance' + ('_hard' if hard else '')
        self._call(context, host, method, uuid=uuid)

    def get_console_log(self, context, host, uuid, max_bytes):
        """The last ``max_bytes`` that an instance printed, as text."""
        return self._call(context, host, 'get_console_log', uuid=uuid,
                          max_bytes=max_bytes)

    def get_guest(self, context, host, uuid):
        """What only the hypervisor knows of an instance, by name."""
        return self._call(context, host, 'get_guest', uuid=uuid)

    def list_tasks(self, context, host):
        """The periodic tasks of ``host``: see ``Runner.describe``."""
        return self._call(context, host, 'list_tasks')

    def get_task_history(self, context, host, name):
        """The last runs of a task: see ``Runner.history``."""
        return self._call(context, host, 'get_task_history', name=name)

    def run_task(self, context, host, name, accept=None):
        """Run a task now and wait for it; returns the record of the run.

        :param accept: how many repairs are accepted above the brake
        """
        return self._call(context, host, 'run_task', name=name,
                          accept=accept)
