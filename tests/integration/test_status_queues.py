"""computed-status upgrade check, and the queues of a real broker."""

import json

import pytest

from tests.servers import rabbitmq as rabbitmq_server
from tests.support import fixtures
from tests.support import prefork


def check(cell, **options):
    """The exit status, and what is said of the queues."""
    done = prefork.run('computed.cmd.status', *fixtures.write_config(
        cell.folder / 'status.conf',
        {'connection': f'sqlite:///{cell.database}'},
        **{'transport_url': cell.url, **options}),
        'upgrade', 'check', '--json')
    assert done.stderr == ''
    assert rabbitmq_server.PASSWORD not in done.stdout
    [found] = [one for one in json.loads(done.stdout)['checks']
               if one['check'] == 'Quorum queues']
    return done.returncode, found['details']


def test_the_queues_of_our_services_are_quorum_queues(cell):
    assert check(cell) == (
        0, 'No queue exists yet. Services declare queues with '
        'x-queue-type=quorum.')
    assert cell.rabbitmq.queues(cell.vhost) == {}     # it made none
    cell.conductors()
    cell.run('computed').wait_for_output('is managed', 30)
    assert check(cell) == (0, '4 queues with x-queue-type=quorum.')
    assert set(cell.rabbitmq.queues(cell.vhost).values()) == {'quorum'}


def test_a_queue_of_another_type_is_named_and_the_remedy_works(cell):
    fixtures.add_service(cell.database, 'h9')
    with cell.rabbitmq.channel(cell.vhost) as channel:
        channel.queue_declare('compute.h9', durable=True, auto_delete=False)
    status, said = check(cell)
    assert status == 2
    assert 'compute.h9 is another queue than services would declare' in said
    assert 'x-queue-type' in said
    assert cell.rabbitmq.queues(cell.vhost) == {'compute.h9': 'classic'}
    _, _, command = said.partition('`rabbitmqctl ')
    cell.rabbitmq.ctl(*command.partition('`')[0].split())
    assert check(cell)[0] == 0


@pytest.mark.parametrize('port, user, problem', [
    (1, rabbitmq_server.USER, 'Connection refused'),
    (None, 'nobody', 'it refuses the user or the password')])
def test_a_broker_that_is_away_is_one_line(cell, port, user, problem):
    status, said = check(cell, transport_url=cell.rabbitmq.url(
        cell.vhost, user=user, port=port))
    assert status == 2
    assert said.startswith('The message broker rabbit://***@127.0.0.1:')
    assert problem in said
    assert '\n' not in said


@pytest.mark.parametrize('program, queue', [
    ('computed-conductor', 'conductor'), ('computed-conductor',
                                          'conductor.h1'),
    ('computed', 'compute'), ('computed', 'compute.h1')])
def test_a_service_says_which_queue_is_of_another_type(
        cell, program, queue):
    if program == 'computed':
        cell.conductors()
    with cell.rabbitmq.channel(cell.vhost) as channel:
        channel.queue_declare(queue, durable=True, auto_delete=False)
    said = refusal(cell, program)
    assert f': Queue {queue} is another queue than services' in said
    assert 'x-queue-type' in said
    assert f'`rabbitmqctl delete_queue -p {cell.vhost} {queue}`' in said


def test_a_service_says_that_its_exchange_is_of_another_kind(cell):
    with cell.rabbitmq.channel(cell.vhost) as channel:
        channel.exchange_declare('openstack', 'fanout', durable=True,
                                 auto_delete=False)
    said = refusal(cell, 'computed-conductor')
    assert 'The message broker rabbit://***@127.0.0.1:' in said
    assert "inequivalent arg 'type' for exchange 'openstack'" in said


def refusal(cell, name):
    """The one line in which a program says why it ends."""
    program = cell.run(name)
    assert program.process.wait(240) == 1
    assert 'The service could not be started' not in program.output()
    # The library logs later that it has collected a channel.
    [line] = [line for line in program.output().splitlines()
              if line.startswith(f'{name}: ')]
    return line
