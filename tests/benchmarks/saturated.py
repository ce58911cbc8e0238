"""One conductor process with more to do than it can, beside a server that
has as many empty calls to answer.

Calls a second depend on who else needs the machine, the clients foremost; the
processor time that each call takes of the server's process does so less.
"""

import dataclasses
import multiprocessing
import threading
import time

import oslo_messaging as messaging
from oslo_versionedobjects import base as ovo

from computed import context
from computed import objects
from computed.conductor import manager
from tests.benchmarks import empty
from tests.benchmarks import lists
from tests.support import fixtures
from tests.support import waiting

SIZE = 100
# Clients that ask, each as soon as it has its answer; in two processes, and
# they make no objects, or they would be what is saturated.
PROCESSES, THREADS = 2, 8
# Calls that each process makes before it counts.
WARM_UP = 20
# Titles of the columns, and how wide they are.
COLUMNS = {'transport': 9, 'database': 8, 'calls': 11, 'a second': 8,
           'CPU a call': 10, 'of a core': 9, '/ empty call': 12}


@dataclasses.dataclass
class Load:
    """What clients ask for, again and again."""

    folder: str
    url: str
    topic: str
    method: str
    arguments: dict
    size: int | None

    def whole(self, reply):
        """Whether the reply holds all that it should."""
        return self.size is None or self.size == len(
            reply['result']['computed_object.data']['objects'])


def measured(database, deployment, seconds):
    """The cells of two lines of the table."""
    spent = {}
    for name, process, load in (
            ('empty', deployment.empty, empty_calls(deployment)),
            (f'list of {SIZE}', deployment.conductor,
             list_calls(deployment))):
        count, cpu, elapsed = saturate(process.pid, load, seconds)
        spent[name] = cpu / count
        yield (deployment.transport.kind, database.kind, name,
               f'{count / elapsed:.0f}', f'{cpu / count * 1e6:.0f} us',
               f'{cpu / elapsed * 100:.0f} %',
               f'{spent[name] / spent["empty"]:.1f}')


def empty_calls(deployment):
    return Load(str(deployment.folder), deployment.transport.url,
                empty.TOPIC, 'nothing', {}, None)


def list_calls(deployment):
    objects.register_all()
    return Load(
        str(deployment.folder), deployment.transport.url,
        manager.TARGET.topic, 'object_class_action_versions', {
            'objname': 'InstanceList', 'objmethod': 'get_by_host',
            'object_versions': ovo.obj_tree_get_versions('InstanceList'),
            'args': [lists.name_of(SIZE)], 'kwargs': {}}, SIZE)


def saturate(pid, load, seconds):
    """``(calls, processor seconds, seconds)`` of the server ``pid``."""
    spawn = multiprocessing.get_context('spawn')
    counts = spawn.Array('Q', PROCESSES * THREADS, lock=False)
    clients = [spawn.Process(target=ask, daemon=True,
                             args=(load, counts, number * THREADS))
               for number in range(PROCESSES)]
    for client in clients:
        client.start()

    def warm():
        assert all(client.is_alive() for client in clients)
        return min(counts) >= WARM_UP
    try:
        waiting.wait_for(warm, 60, 'answers to every client')
        before = reading(pid, counts)
        time.sleep(seconds)
        waiting.wait_for(lambda: sum(counts) > before[0], 60, 'an answer')
        after = reading(pid, counts)
        assert warm()
    finally:
        for client in clients:
            client.terminate()
            client.join()
    return tuple(now - then for then, now in zip(before, after, strict=True))


def reading(pid, counts):
    # The process's own clock, see clock_getcpuclockid(3): to the nanosecond,
    # where /proc knows hundredths of a second.
    clock = ~pid << 3 | 2
    return sum(counts), time.clock_gettime(clock), time.monotonic()


def ask(load, counts, first):
    """Be some of the clients, in a process of their own."""
    client = messaging.get_rpc_client(
        messaging.get_rpc_transport(fixtures.make_conf(
            load.folder, transport_url=load.url)),
        messaging.Target(topic=load.topic))
    ended = threading.Event()

    def repeat(number):
        try:
            while True:
                reply = client.call(context.new().to_dict(), load.method,
                                    **load.arguments)
                assert load.whole(reply), reply
                counts[number] += 1
        finally:
            ended.set()
    for number in range(first, first + THREADS):
        threading.Thread(target=repeat, args=(number,), daemon=True).start()
    ended.wait()        # an error ends the process, which is noticed
