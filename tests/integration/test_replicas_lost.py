"""All replicas are lost under full load, with two conductors.

What the primary got is counted by its own log.
"""

import collections
import threading
import time

import pytest

from computed import context
from computed import exception
from computed import objects
from computed.objects import base
from tests.integration import test_replication as replication
from tests.support import fixtures
from tests.support import waiting

on_each_engine = pytest.mark.parametrize('engine', ['mariadb', 'postgresql'])
# Reads a second that the primary gives to all conductors together.
BUDGET = 8
# Seconds that are counted.
WINDOW = 4


class Conductor:
    """A conductor, and a host of its own that only reads."""

    def __init__(self, folder, database):
        folder.mkdir()
        self.program = replication.start_conductor(
            folder, database, fallback_reads_per_second=BUDGET)
        self.side = fixtures.HostSide(folder, folder)
        self.answers = collections.Counter()

    def read(self, **kwargs):
        """Read the host's instances; returns the role that answered."""
        ctxt = context.RequestContext(**kwargs)
        self.side.conductor.object_class_action_versions(
            ctxt, 'InstanceList', 'get_by_host',
            base.ovo.obj_tree_get_versions('InstanceList'),
            (fixtures.HOST,), {})
        return ctxt.reads.last.role

    def read_tolerantly(self):
        try:
            self.answers[self.read(lag_tolerant=True)] += 1
        except exception.Busy:
            self.answers['busy'] += 1

    def nodes(self):
        return self.side.conductor.list_replicas(context.new())

    def ejections(self):
        return [node['ejections'] for node in self.nodes()[1:]]

    def shares(self):
        return self.nodes()[0]['fallback']['conductors'] == 2

    def end(self):
        self.side.transport.close()
        self.program.end()


@pytest.fixture
def conductors(tmp_path, database):
    objects.register_all()
    found = [Conductor(tmp_path / name, database) for name in ('a', 'b')]
    for one in found:
        replication.wait_for_replicas(one.side, 2)
    waiting.wait_for(lambda: all(one.shares() for one in found), 10,
                     'each conductor knowing of the other')
    yield found
    for one in found:
        one.end()


@pytest.fixture
def full_load(conductors):
    """Four readers at each conductor that never pause."""
    stopping, problems = threading.Event(), []

    def work(conductor):
        while not stopping.is_set():
            try:
                conductor.read_tolerantly()
            except Exception as error:      # noqa: BLE001, none may be
                problems.append(error)
    threads = [threading.Thread(target=work, args=(one,))
               for one in conductors for _ in range(4)]
    for thread in threads:
        thread.start()
    yield
    stopping.set()
    for thread in threads:
        thread.join()
    assert problems == []


def forget(conductors):
    for one in conductors:
        one.answers = collections.Counter()


def answered(conductors):
    return sum((one.answers for one in conductors), collections.Counter())


@on_each_engine
def test_the_primary_takes_no_more_than_the_budget_of_all(
        database, conductors, full_load):
    primary = database.cluster.primary
    waiting.wait_for(lambda: all(one.answers['replica'] > 50
                                 for one in conductors), 20, 'full load')
    for replica in database.cluster.replicas:
        replica.kill()
    # By then each has spent what it had saved.
    waiting.wait_for(lambda: all(one.answers['busy'] > 50
                                 for one in conductors), 20, 'refusals')
    strict = 0
    forget(conductors)
    # All that is counted happens within the seconds: they begin before.
    began = time.monotonic()
    primary.clear_log()
    while time.monotonic() - began < WINDOW:
        for one in conductors:
            assert one.read() == 'primary'
            strict += 1
    least = BUDGET * (time.monotonic() - began) / 2
    lists = [text for _, kind, text in primary.statements()
             if kind == 'Query' and 'JOIN instances' in str(text)]
    found = answered(conductors)
    most = 1.2 * BUDGET * (time.monotonic() - began)
    assert set(found) == {'primary', 'busy'}
    assert least < len(lists) - strict <= most
    # More was asked for than may be answered: else this proves nothing.
    assert found['primary'] + found['busy'] > 1.25 * most

    for replica in database.cluster.replicas:
        replica.start()
    for one in conductors:
        replication.wait_for_replicas(one.side, 2, 30)
    forget(conductors)
    waiting.wait_for(lambda: all(one.answers['replica'] > 100
                                 for one in conductors), 20,
                     'replicas answering')
    # Once out, once back, and nobody was sent elsewhere since.
    assert [one.ejections() for one in conductors] == [[1, 1]] * 2
    assert answered(conductors).keys() == {'replica'}
