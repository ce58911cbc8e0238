"""Notifications over the real broker."""

import json
import re

import pytest

from tests import servers
from tests.support import waiting

INFO = 'versioned_notifications.info'


@pytest.fixture
def address(rabbitmq):
    """The broker of the notifications; it can be taken away alone."""
    found = servers.Forwarder(rabbitmq.port)
    yield found
    found.close()


def start(cell, *lines):
    """A conductor that notifies, and a host; returns the conductor."""
    for name, program in (('conductor', 'computed-conductor'),
                          ('computed', 'computed')):
        arguments = cell.arguments(name)
        with open(arguments[1], 'a') as stream:
            stream.write('\n'.join(
                ['[virt]', 'driver = memory', '[notifications]',
                 'driver = messaging', *lines]) + '\n')
        cell.run(program, *arguments)
    conductor, host = cell.programs
    host.wait_for_output('is managed', 30)
    return conductor


def received(cell, count):
    """Take ``count`` notifications from the queue, the first first.

    One whose sender got no answer comes twice, with the same key.
    """
    found = {}

    def enough():
        with cell.rabbitmq.channel(cell.vhost) as channel:
            while (message := channel.basic_get(INFO, no_ack=True)):
                told = json.loads(json.loads(message.body)['oslo.message'])
                found.setdefault(
                    told['payload']['computed_object.data']['key'], told)
        return len(found) >= count
    waiting.wait_for(lambda: INFO in cell.rabbitmq.queues(cell.vhost))
    waiting.wait_for(enough, 20, f'{count} notifications')
    return list(found.values())


def test_each_act_is_told_to_a_queue(cell):
    conductor = start(cell)
    cell.manage('instance', 'create', 'web', '--command', 'x', '--wait')
    cell.manage('instance', 'stop', 'web', '--wait')
    found = received(cell, 5)
    assert [one['event_type'] for one in found] == [
        'instance.create.end', 'instance.build.start', 'instance.build.end',
        'instance.stop.start', 'instance.stop.end']
    last = found[-1]
    assert last['publisher_id'] == 'conductor:h1'
    assert last['priority'] == 'INFO'
    assert last['payload']['computed_object.data']['state_after'] == 'stopped'
    assert cell.rabbitmq.queues(cell.vhost)[INFO] == 'quorum'
    assert conductor.end() == 0


def test_a_broker_that_is_away_delays_no_act(cell, address):
    """What waited is sent when it is back; what had no place is lost."""
    address.point_to(None)
    conductor = start(
        cell, 'queue_size = 3', '[oslo_messaging_notifications]',
        f'transport_url = {cell.rabbitmq.url(cell.vhost, port=address.port)}')
    cell.manage('instance', 'create', 'web', '--command', 'x', '--wait')
    cell.manage('instance', 'stop', 'web', '--wait')
    conductor.wait_for_output('A notification is dropped: too many wait.')
    assert 'Notifications cannot be sent: ' in conductor.output()
    address.point_to(cell.rabbitmq.port)
    found = received(cell, 3)
    assert [one['event_type'] for one in found] == [
        'instance.create.end', 'instance.build.start', 'instance.build.end']
    conductor.wait_for_output('Notifications are sent again after')
    address.cut()
    cell.manage('instance', 'start', 'web', '--wait')
    assert [one['event_type'] for one in received(cell, 2)] == [
        'instance.start.start', 'instance.start.end']
    assert 'ERROR computed' not in conductor.output()
    address.point_to(None)
    address.cut()
    cell.manage('instance', 'stop', 'web', '--wait')
    assert conductor.end() == 0
    # That the one before has arrived may not be known yet.
    assert re.search('[23] notifications were not sent', conductor.output())
