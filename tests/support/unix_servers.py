"""Servers of the unix:// driver, in this process or in one of their own."""

import subprocess
import sys
import threading

import oslo_messaging
from oslo_config import cfg
from oslo_messaging import conffixture

from computed import exception


class Endpoint:
    """What the servers of these tests can do."""

    def __init__(self, name='one'):
        self.name = name
        self.seen = []
        self.released = threading.Event()

    def who(self, context):
        return self.name

    def echo(self, context, value):
        self.seen.append(value)
        return value

    def note(self, context, path):
        """Leave a mark in a file, and never answer."""
        with open(path, 'a') as file:
            file.write('executed\n')
        self.hold(context)

    def hold(self, context, value=None):
        self.seen.append(value)
        self.released.wait(30)
        return value

    def blob(self, context, size):
        return 'x' * size

    def odd(self, context):
        return object

    def fail(self, context, module):
        if module == 'computed':
            raise exception.InstanceNotFound(instance='i-1')
        raise subprocess.SubprocessError('from elsewhere')


def new_conf():
    conf = cfg.ConfigOpts()
    conffixture.ConfFixture(conf)
    conf([], default_config_files=[], default_config_dirs=[])
    return conf


def new_transport(directory):
    return oslo_messaging.get_rpc_transport(
        new_conf(), f'unix://{directory}',
        allowed_remote_exmods=['computed.exception'])


def new_server(transport, name, endpoint, topic='topic'):
    return oslo_messaging.get_rpc_server(
        transport, oslo_messaging.Target(topic=topic, server=name),
        [endpoint], access_policy=oslo_messaging.DefaultRPCAccessPolicy)


if __name__ == '__main__':
    directory, name = sys.argv[1:]
    new_server(new_transport(directory), name, Endpoint(name)).start()
    threading.Event().wait()    # until it is killed
