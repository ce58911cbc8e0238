"""Audits of usage: what they cost on real servers, and kill -9 with queues."""

import datetime
import json
import signal

import pytest

from computed import context
from computed.conf import audit_period
from tests.crashes import scenarios
from tests.integration import test_bandwidth as bandwidth
from tests.integration import test_notifications as notifications
from tests.integration import test_replication as replication
from tests.support import fixtures
from tests.support import waiting

COUNT = 1000


@pytest.fixture
def side(tmp_path, database):
    """This process as a host whose conductor tells consumers."""
    program = replication.start_conductor(
        tmp_path, database, more='[notifications]\ndriver = log\n')
    with fixtures.HostSide(
            tmp_path, tmp_path, tasks__instance_usage_audit=True,
            tasks__instance_usage_audit_period=scenarios.period()) as found:
        found.program, found.database = program, database
        replication.wait_for_replicas(found, 2)
        yield found
    program.end()


def audit(manager):
    return manager._instance_usage_audit(context.new())


def told(program):
    return [line for line in program.output().splitlines()
            if 'compute.instance.exists' in line]


@replication.on_each_engine
def test_what_it_costs(side, database, engine):
    found, _ = replication.managed(side, COUNT)
    database.sql("UPDATE instances SET launched_at = '2020-01-01', "
                 "first_launched_at = '2020-01-01'")
    database.caught_up()
    # Both pools are warm: a new connection greets its server first.
    for _ in range(10):
        found._sync_scheduler_instance_info(context.new())
    counted = replication.Counted(side, database)
    counted.start()
    assert audit(found).recorded == COUNT
    # The audits, the begin, 10 parts of 100, the retired hosts.
    assert counted.calls == 13
    assert [text.split()[0] for text in bandwidth.writes_and_reads(
        counted.on_primary)] == ['SELECT', 'SELECT', 'INSERT', 'SELECT'] + (
            10 * ['UPDATE', 'SELECT'])
    assert len([text for text in counted.on_replicas
                if 'FROM instances' in text]) == 11
    assert len(told(side.program)) == COUNT

    database.caught_up()
    counted.start()
    assert audit(found).recorded == 0
    assert counted.calls == 1
    assert counted.on_primary == []
    assert 1 <= len(counted.on_replicas) <= replication.STATEMENTS[engine]


def insert(cell, count):
    """Instances that are deleted: no task looks for their guests."""
    begin, _ = audit_period.AuditPeriod()(scenarios.period()).last_completed(
        datetime.datetime.now(datetime.UTC))
    when = f'{begin + datetime.timedelta(days=1):%Y-%m-%d %X}.000000'
    row = {**fixtures.INSTANCE, 'vm_state': 'deleted', 'power_state': 0,
           'deleted': 1, 'revision': 1, 'created_at': when,
           'updated_at': when, 'launched_at': when, 'deleted_at': when,
           'terminated_at': when}
    row.pop('uuid')
    cell.sql('WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 '
             f'FROM numbers WHERE n < {count - 1}) INSERT INTO instances '
             f"(uuid, {', '.join(row)}) SELECT printf('00000000-0000-4000-"
             f"8000-%012d', n), {', '.join(map(repr, row.values()))} "
             'FROM numbers')


OPTIONS = f"""usage_audit_poll_interval = 1
instance_usage_audit = true
instance_usage_audit_period = {scenarios.period()}
[virt]
driver = memory
[notifications]
driver = messaging
"""


class Cell:
    """A cell whose programs are killed; ``keys`` has what consumers got."""

    def __init__(self, cell):
        self._cell = cell
        self._arguments, self._running = {}, {}
        for program in ('computed-conductor', 'computed'):
            self._arguments[program] = cell.arguments(program)
            with open(self._arguments[program][1], 'a') as stream:
                stream.write(OPTIONS)
            self.start(program)
        self.keys = []

    def start(self, program):
        self._running[program] = self._cell.run(
            program, *self._arguments[program])

    def kill(self, program):
        self._running[program].end(signal.SIGKILL)
        self.start(program)

    def hears(self, count):
        """Wait until consumers have ``count`` notifications."""
        def enough():
            if notifications.INFO in self._cell.rabbitmq.queues(
                    self._cell.vhost):
                self._take()
            return len(self.keys) >= count
        waiting.wait_for(enough, 60, f'{count} notifications')

    def _take(self):
        with self._cell.rabbitmq.channel(self._cell.vhost) as channel:
            while (message := channel.basic_get(notifications.INFO,
                                                no_ack=True)):
                found = json.loads(json.loads(message.body)['oslo.message'])
                assert found['event_type'] == 'compute.instance.exists'
                self.keys.append(found['payload']['computed_object.data'][
                    'key'])


def test_programs_that_are_killed_in_the_middle(cell):
    """Each instance is reported under one key, and few of them again."""
    insert(cell, COUNT)
    found = Cell(cell)
    kills = ('computed-conductor', 'computed', 'computed-conductor')
    for number, program in enumerate(kills):
        found.hears(50 + 220 * number)
        found.kill(program)

    def done():
        return cell.sql("SELECT reported FROM usage_audits WHERE state = "
                        "'done'") == [(COUNT,)]
    waiting.wait_for(done, 60, 'the end of the audit')
    found.hears(COUNT)
    assert len({*found.keys}) == COUNT
    assert len(found.keys) <= COUNT + 100 * len(kills)
