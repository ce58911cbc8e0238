"""Host, conductor and command line as processes, on replicated databases."""

import json
import os
import pathlib
import signal

import psutil
import pytest

from tests.support import fixtures
from tests.support import prefork
from tests.support import process_guests
from tests.support import schemas
from tests.support import waiting

COLUMNS = 'vm_state, power_state, task_state, claim_id'


class Deployment:
    """``computed`` and ``computed-conductor``, told of the replicas or not.
    """

    def __init__(self, folder, database, replicas):
        self.folder = pathlib.Path(folder)
        self.database = database
        urls = {'connection': database.url}
        if replicas:
            urls.update(replica_connections=','.join(database.replica_urls),
                        replica_heartbeat_interval=0.2,
                        replica_probe_interval=0.2)
        self.arguments = fixtures.write_config(
            self.folder / 'computed.conf', urls, periodic_fuzzy_delay=0)
        with open(self.arguments[1], 'a') as stream:
            stream.write('[tasks]\nsync_power_state_interval = 2\n'
                         '[virt]\nstopped_event_delay = 600\n')
        self.conductor = fixtures.Program(
            'computed-conductor', self.folder, *self.arguments)
        self.host = fixtures.Program('computed', self.folder,
                                     *self.arguments)
        self.host.wait_for_output('is managed')

    def manage(self, *words):
        done = prefork.run('computed.cmd.manage', *self.arguments, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *words):
        return json.loads(self.manage(*words, '-f', 'json'))

    def rows(self):
        return self.database.sql(f'SELECT {COLUMNS} FROM instances')

    def clean_up(self):
        for program in (self.host, self.conductor):
            program.end()
        process_guests.kill_guests(self.folder)


on_each_engine = pytest.mark.parametrize('engine', ['mariadb', 'postgresql'])


@pytest.fixture
def replicas():
    """Whether they are named; a test may be parametrised with False."""
    return True


@pytest.fixture
def deployment(tmp_path, database, replicas):
    schemas.fill(database.url)
    database.caught_up()
    found = Deployment(tmp_path, database, replicas)
    yield found
    found.clean_up()


@pytest.mark.parametrize('engine, replicas', [
    ('mariadb', True), ('mariadb', False), ('postgresql', True)])
def test_a_killed_instance_is_found_within_one_interval(
        deployment, replicas):
    """Without any event: the pass alone finds it, by a tolerant read."""
    deployment.manage('instance', 'create', 'web', '--command',
                      'sleep 1000', '--wait')
    if replicas:
        waiting.wait_for(lambda: deployment.json('task', 'run',
                         '_sync_power_states')['reads'] == {'replica': 1})
    shown = deployment.json('instance', 'show', 'web', '--strict')
    os.kill(shown['pid'], signal.SIGKILL)
    waiting.wait_for(
        lambda: deployment.rows() == [('stopped', 6, None, None)], 10,
        'the end in the database')
    assert ') is active but its guest is CRASHED: stop.' in (
        deployment.host.output())


@on_each_engine
def test_answers_stay_right_while_replication_stands_still(deployment):
    for replica in deployment.database.cluster.replicas:
        replica.stop_applying()
    deployment.manage('instance', 'create', 'web', '--command',
                      'sleep 1000', '--wait')
    deployment.manage('instance', 'stop', 'web', '--wait')
    deployment.manage('instance', 'start', 'web', '--wait')
    # A pass that believed the replicas would know no instance, or a
    # stopped one; none may touch what runs.
    for _ in range(3):
        deployment.manage('task', 'run', '_sync_power_states')
    shown = deployment.json('instance', 'show', 'web', '--strict')
    assert (shown['vm_state'], shown['power_state']) == ('active', 'RUNNING')
    assert psutil.pid_exists(shown['pid'])


@on_each_engine
def test_the_primary_may_go_away_and_come_back(deployment):
    deployment.manage('instance', 'create', 'web', '--command',
                      'sleep 1000', '--wait')
    primary = deployment.database.cluster.primary
    primary.kill()
    deployment.host.wait_for_output('cannot be reported as alive', 30)
    primary.start()
    deployment.host.wait_for_output('reported as alive again', 30)
    deployment.manage('instance', 'stop', 'web', '--wait')
    assert deployment.rows() == [('stopped', 4, None, None)]
