"""A server whose calls do nothing: what a call over RPC costs at least."""

import logging
import subprocess
import sys

import oslo_messaging as messaging

from tests.support import fixtures

TOPIC = 'empty'


class Endpoint:
    """Answers with nothing."""

    def nothing(self, context):
        return None


def start(folder, url):
    """The server as a process, which listens at the transport ``url``.

    It ends with its standard input, so not later than this process.
    """
    return subprocess.Popen(
        [sys.executable, '-m', __name__, str(folder), url],
        stdin=subprocess.PIPE)


def client(transport):
    """A function that makes one empty call."""
    remote = messaging.get_rpc_client(
        transport._library, messaging.Target(topic=TOPIC))
    return lambda: remote.call({}, 'nothing')


def main():
    logging.basicConfig(level=logging.ERROR)
    folder, url = sys.argv[1:]
    conf = fixtures.make_conf(folder, transport_url=url)
    server = messaging.get_rpc_server(
        messaging.get_rpc_transport(conf),
        messaging.Target(topic=TOPIC, server='empty'), [Endpoint()])
    server.start()
    sys.stdin.read()
    server.stop()
    server.wait()


if __name__ == '__main__':
    main()
