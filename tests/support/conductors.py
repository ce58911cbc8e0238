"""Conductors as real processes, each called by itself.

A host has one conductor, through its objects; a test of several calls each
without them.
"""

import contextlib
import pathlib

from computed import context
from computed import objects
from computed.conductor import client as conductor_client
from computed.objects import base
from computed.rpc import transport
from tests.support import fixtures
from tests.support import waiting

# Quick to notice what happens.
QUICK = {'replica_heartbeat_interval': 0.2, 'replica_probe_interval': 0.2,
         'replica_good_samples': 2, 'replica_ramp': 0}


class Conductor:
    """A computed-conductor on its own transport, and calls to it.

    :param folder: of its own; made if it is missing
    :param urls: of the primary and then of each replica
    """

    def __init__(self, folder, urls, environment=None, **options):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        objects.register_all()
        arguments = fixtures.write_config(folder / 'computed.conf', {
            'connection': urls[0], 'replica_connections': ','.join(urls[1:]),
            **QUICK, **options})
        self.program = fixtures.Program(
            'computed-conductor', folder, *arguments, **(environment or {}))
        waiting.wait_for(lambda: list(folder.glob('rpc/*conductor*')), 20,
                         f'the socket of the conductor in {folder}')
        conf = fixtures.make_conf(folder)
        self.transport = transport.make(conf)
        self.api = conductor_client.ConductorAPI(self.transport)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.transport.close()
        self.program.end()

    def call(self, ctxt, name, method, *args, **kwargs):
        """What a class method of an object returns there."""
        manifest = {known: found[0].VERSION for known, found in
                    base.registry.obj_classes().items()}
        return self.api.object_class_action_versions(
            ctxt, name, method, manifest, args, kwargs)

    def replicas(self):
        """The state of each of its replicas, by node."""
        return {node['node']: node for node in
                self.api.list_replicas(context.new())
                if node['role'] == 'replica'}

    def wait_for_replicas(self, count, seconds=20):
        """Wait until so many are in use."""
        waiting.wait_for(
            lambda: sum(node['usable'] for node in
                        self.replicas().values()) == count,
            seconds, f'{count} replicas in use')


@contextlib.contextmanager
def several(*conductors):
    """All of them, ended at the end."""
    with contextlib.ExitStack() as stack:
        for conductor in conductors:
            stack.enter_context(conductor)
        yield conductors
