"""Hosts, conductors and the command line over a real broker."""

import concurrent.futures
import json
import os
import signal
import sqlite3
import time
import uuid

import amqp
import oslo_messaging as messaging
import pytest

from computed import context
from computed import exception
from computed.claims import journal
from computed.claims import recovery
from computed.objects import host as host_obj
from computed.objects import instance as instance_obj
from computed.rpc import endpoint
from computed.rpc import hostapi
from computed.rpc import transport
from computed.virt import memory
from tests.servers import rabbitmq as rabbitmq_server
from tests.support import fixtures
from tests.support import load as loads
from tests.support import waiting


@pytest.fixture
def side(cell, tmp_path):
    with fixtures.HostSide(cell.folder, tmp_path, transport_url=cell.url,
                           rpc_response_timeout=10) as found:
        yield found


def test_programs_wait_for_the_broker_and_outlive_its_restart(cell):
    cell.rabbitmq.stop_app()
    host = cell.run('computed')
    conductors = [cell.run('computed-conductor') for _ in range(2)]
    for program in (host, *conductors):
        program.wait_for_output('Waiting: The message broker')
    cell.rabbitmq.start()
    host.wait_for_output('is managed', 30)
    cell.manage('instance', 'create', 'web', '--command', 'sleep 1000',
                '--wait')
    shown = cell.json('instance', 'show', 'web')
    os.kill(shown['pid'], signal.SIGKILL)
    waiting.wait_for(lambda: cell.sql(
        'SELECT vm_state, power_state FROM instances') == [('stopped', 6)])

    cell.rabbitmq.stop_app()
    host.wait_for_output('cannot be reported as alive', 30)
    cell.rabbitmq.start()
    host.wait_for_output('reported as alive again', 60)

    def listens():
        return cell.rabbitmq.consumers('compute.h1', cell.vhost)
    waiting.wait_for(listens, 60, 'the host taking calls again')
    cell.manage('instance', 'start', 'web', '--wait')
    cell.manage('instance', 'stop', 'web', '--wait')
    assert cell.sql('SELECT vm_state, claim_id FROM instances') == [
        ('stopped', None)]
    queues = cell.rabbitmq.queues(cell.vhost)
    assert set(queues.values()) == {'quorum'}
    # that of the host; two conductors of one name share theirs
    assert len(cell.replies()) == 1
    assert host.end() == 0
    assert cell.replies() == set()
    began = time.monotonic()
    done = cell.manage('task', 'list', '--host', 'h1', check=False)
    assert 'Host h1 does not answer' in done.stderr     # its queue is there
    assert time.monotonic() - began < 10


def test_the_command_line_leaves_no_queue_behind(cell):
    cell.conductors()
    before = cell.rabbitmq.queues(cell.vhost)
    for _ in range(5):
        cell.manage('instance', 'list')
    assert cell.rabbitmq.queues(cell.vhost) == before


@pytest.mark.parametrize('url, problem', [
    (lambda rabbitmq: rabbitmq.url(password='an0ther'),
     'it refuses the user or the password'),
    (lambda rabbitmq: rabbitmq.url('nowhere'),
     'it refuses the virtual host'),
    (lambda rabbitmq: rabbitmq.url(port=1), 'Connection refused'),
    (lambda rabbitmq: rabbitmq.url(port=1).replace('1/', '1,u:an0ther@'
                                                   '127.0.0.1:2/'),
     'Connection refused'),
], ids=['password', 'vhost', 'refused', 'two refused'])
def test_the_command_line_says_soon_what_is_wrong(cell, url, problem):
    began = time.monotonic()
    done = cell.manage('instance', 'list', check=False, arguments=(
        cell.arguments('wrong', url=url(cell.rabbitmq))))
    assert time.monotonic() - began < 10
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert 'an0ther' not in done.stderr
    assert done.stderr.startswith(
        'computed-manage: The message broker rabbit://***@127.0.0.1:')
    assert problem in done.stderr


def test_without_a_conductor_the_error_comes_at_once(cell, side):
    """Never heard of, and gone but with its queue still there."""
    began = time.monotonic()
    with pytest.raises(exception.ConductorUnavailable) as caught:
        side.conductor.list_replicas(context.new())
    assert type(caught.value) is exception.ConductorUnavailable
    cell.conductors()[0].end()
    waiting.wait_for(lambda: not cell.rabbitmq.consumers(
        'conductor', cell.vhost))
    with pytest.raises(exception.ConductorUnavailable):
        side.conductor.list_replicas(context.new())
    with pytest.raises(exception.HostUnavailable):
        hostapi.HostAPI(side.transport).list_tasks(context.new(), 'h1')
    assert time.monotonic() - began < 30
    assert 'conductor' in cell.rabbitmq.queues(cell.vhost)


def test_a_second_broker_of_the_url_takes_over(cell, tmp_path):
    cell.conductors()
    url = cell.url.replace('@127', '@127.0.0.1:1,computed:'
                           f'{rabbitmq_server.PASSWORD}@127')
    for _ in range(3):      # the order is drawn
        with fixtures.HostSide(cell.folder, tmp_path,
                               transport_url=url) as side:
            assert side.conductor.list_replicas(context.new())


def who(side):
    """The conductor that answers, by the name of its replica."""
    return side.conductor.list_replicas(context.new())[1]['node']


def test_several_conductors_share_the_work(cell, side):
    cell.conductors(2)
    answered = [who(side) for _ in range(20)]
    assert len(set(answered)) == 2
    assert min(answered.count(name) for name in set(answered)) >= 5


def register(side):
    host_obj.Service.register(context.new(), fixtures.HOST, fixtures.UUID,
                              fixtures.BOOT, fixtures.BOOT, '0')


def test_one_conductor_is_killed_in_the_middle_of_calls(cell, side):
    """Each call is done once or not at all, and the other one goes on."""
    first, _ = cell.conductors(2)
    register(side)
    found = [instance_obj.Instance(context=context.new(), **{
        **fixtures.INSTANCE, 'uuid': str(uuid.UUID(int=number)),
        'name': 'before'})
        for number in range(1, 5)]
    for one in found:
        one.create()
    counter = f"SELECT revision FROM hosts WHERE name = '{fixtures.HOST}'"
    [[revision]] = cell.sql(counter)
    # All calls stand before the lock of the database, two in each.
    lock = sqlite3.connect(cell.database, isolation_level=None)
    lock.execute('BEGIN IMMEDIATE')
    # What it received before does not count: it was answered.
    before = first.output().count('received message')
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        def rename(one):
            one.name = 'after'
            try:
                one.save()
            except exception.OutcomeUnknown:
                return 'perhaps'
            except exception.InstanceChanged:
                return 'changed'
            return 'done'
        calls = [threads.submit(rename, one) for one in found]
        waiting.wait_for(
            lambda: first.output().count('received message') > before, 10,
            'a call at the first conductor')
        first.end(signal.SIGKILL)
        lock.execute('ROLLBACK')
        lock.close()
        outcomes = [call.result(60) for call in calls]
    names = [name for [name] in cell.sql(
        'SELECT name FROM instances ORDER BY uuid')]
    done = names.count('after')
    assert 'perhaps' in outcomes and done >= outcomes.count('done') > 0
    assert cell.sql(counter) == [(revision + done,)]
    assert len({who(side) for _ in range(6)}) == 1


def test_the_broker_is_restarted_under_load(cell, side):
    """What was acknowledged is there once, what was not at most once."""
    cell.conductors(2)
    manager = side.manager(memory.MemoryDriver(side.conf))
    with loads.Load(manager.claims) as load:
        waiting.wait_for(load.all_go_on(), 20, 'the load under way')
        cell.rabbitmq.stop_app()
        waiting.wait_for(lambda: load.failures and load.strict_failures, 30,
                         'failures')
        cell.rabbitmq.start()
        waiting.wait_for(load.all_go_on(), 60, 'the load going on')
    assert load.wrong(dict(cell.sql('SELECT uuid, name FROM instances'))
                      ) == {}
    recovery.replay(manager.claims, context.new())
    assert journal.Journal(cell.folder / 'claims').entries() == []
    assert cell.sql('SELECT claim_id FROM instances WHERE claim_id'
                    ' IS NOT NULL') == []


def test_a_call_while_the_broker_is_away_does_not_hang(cell, side):
    cell.conductors()
    who(side)
    cell.rabbitmq.stop_app()
    began = time.monotonic()
    with pytest.raises((exception.OutcomeUnknown,
                        exception.ConductorUnavailable)):
        who(side)       # on a connection that was good
    with pytest.raises(exception.BrokerUnavailable):
        who(side)
    assert time.monotonic() - began < 20
    cell.rabbitmq.start()

    def again():
        try:
            return who(side)
        except exception.ComputedError:
            return False
    waiting.wait_for(again, 60, 'calls after the restart')


def test_calls_travel_encrypted(cell, tmp_path):
    tls = cell.rabbitmq.url(
        cell.vhost, port=cell.rabbitmq.tls_port, options='?ssl=1&ssl_ca_file='
        f'{cell.rabbitmq.ca_file}')
    cell.conductors(url=tls)
    with fixtures.HostSide(cell.folder, tmp_path, transport_url=tls) as side:
        assert who(side)
        assert set(cell.rabbitmq.ctl(
            'list_connections', '--no-table-headers', 'vhost', 'ssl'
        ).splitlines()) == {f'{cell.vhost}\ttrue'}


def test_a_broker_with_another_certificate_is_refused(cell):
    other = rabbitmq_server.trustme.CA()
    path = cell.folder / 'other.pem'
    other.cert_pem.write_to_path(path)
    conf = fixtures.make_conf(cell.folder, transport_url=cell.rabbitmq.url(
        cell.vhost, port=cell.rabbitmq.tls_port,
        options=f'?ssl=1&ssl_ca_file={path}'))
    with pytest.raises(exception.BrokerUnavailable, match='certificate'):
        transport.make(conf).reach(hostapi.target('h1'))


def test_the_broker_is_asked_nothing_with_another_transport(tmp_path):
    conf = fixtures.make_conf(tmp_path)
    calls = transport.make(conf)
    calls.reach(hostapi.target('h1'))
    with calls.servers('conductor').reached():
        pass
    calls.close()


class Slow:
    target = messaging.Target(topic='gone', version='1.0')

    def __init__(self):
        self.seen = []

    @endpoint.exposed
    def note(self, context, number: int) -> int:
        self.seen.append(number)
        return number


def test_what_is_no_message_of_ours_is_dropped_with_one_line(cell, side):
    [conductor] = cell.conductors()
    before = len(conductor.output())
    sound = {'method': 'list_replicas', 'args': {}, '_unique_id': 'same'}
    with cell.rabbitmq.channel(cell.vhost) as channel:
        def publish(body, kind='application/json', **properties):
            channel.basic_publish(amqp.Message(
                body, content_type=kind, content_encoding='utf-8',
                **properties), routing_key='conductor')
        for body in ('', '{', '[1]', '"text"', '{"oslo.version": "9.0", '
                     '"oslo.message": "{}"}', '{"oslo.version": "2.0", '
                     '"oslo.message": "{"}'):
            publish(body)
        publish('x', 'application/x-python-serialize')
        for change in ({}, {}, {'_context_self': 1}, {'_unique_id': [1]},
                       {'_msg_id': 7}, {'_msg_id': 'm', '_reply_q': None},
                       {'_msg_id': 'm', '_reply_q': {'a': 1}}):
            publish(json.dumps({
                'oslo.version': '2.0',
                'oslo.message': json.dumps({**sound, **change})}))
    # They came before this call, and it is answered.
    side.conductor.list_replicas(context.new())
    said = conductor.output()[before:]
    assert 'Traceback' not in said
    assert said.count('Dropped a message in queue conductor') == 1


def test_callers_that_are_gone_hold_no_worker(rabbitmq, tmp_path):
    """Two workers, and twenty calls whose reply queues do not exist."""
    made = transport.make(fixtures.make_conf(
        tmp_path, transport_url=rabbitmq.url(), executor_thread_pool_size=2,
        oslo_messaging_rabbit__kombu_missing_consumer_retry_timeout=600))
    found = Slow()
    server = made.server(
        messaging.Target(topic='gone', server='h1'), [found])
    made.start(server)
    try:
        waiting.wait_for(lambda: rabbitmq.consumers('gone.h1'))
        with rabbitmq.channel() as channel:
            for number in range(20):
                channel.basic_publish(amqp.Message(json.dumps({
                    'oslo.version': '2.0', 'oslo.message': json.dumps({
                        'method': 'note', 'args': {'number': number},
                        '_msg_id': f'm{number}', '_unique_id': f'u{number}',
                        '_reply_q': f'reply_gone_{number}', '_timeout': None,
                    })}), content_type='application/json',
                    content_encoding='utf-8'), routing_key='gone.h1')
            waiting.wait_for(lambda: len(found.seen) == 20)
            client = made.client(Slow.target, timeout=60)
            assert client.prepare(server='h1').call(
                context.new(), 'note', number=99) == 99
            # It comes when its queue is there.
            channel.queue_declare('reply_gone_7', exclusive=True)
            waiting.wait_for(lambda: channel.basic_get('reply_gone_7'))
    finally:
        made.close()
        server.stop()
        server.wait()
