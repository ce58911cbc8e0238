"""A database and a virtual host of the broker, with programs on them."""

import itertools
import json
import pathlib

from tests.servers import rabbitmq as rabbitmq_server
from tests.support import fixtures
from tests.support import prefork
from tests.support import process_guests
from tests.support import waiting

_numbers = itertools.count(1)
# All that anybody has to say, where a password could show.
LOUD = {'debug': True, 'default_log_levels':
        'amqp=DEBUG,kombu=DEBUG,oslo.messaging=DEBUG,oslo_messaging=DEBUG'}


class Cell:
    """A database, and programs that share a virtual host of the broker."""

    def __init__(self, folder, rabbitmq):
        self.folder = pathlib.Path(folder)
        self.rabbitmq = rabbitmq
        self.vhost = f'cell{next(_numbers)}'
        rabbitmq.add_vhost(self.vhost)
        self.database = self.folder / 'primary.sqlite'
        fixtures.make_sqlite(self.database)
        self.url = rabbitmq.url(self.vhost)
        self.programs = []

    def arguments(self, name='computed', database=None, url=None, **options):
        """What to start a program with; LOUD unless ``options`` say more."""
        path = self.folder / f'{name}.conf'
        found = fixtures.write_config(
            path, {'connection': f'sqlite:///{self.database}',
                   **(database or {})},
            transport_url=url or self.url, periodic_fuzzy_delay=0,
            rpc_response_timeout=10, report_interval=1, **LOUD, **options)
        with path.open('a') as stream:
            stream.write('[tasks]\nsync_power_state_interval = 2\n')
        return found

    def run(self, program, *arguments):
        self.programs.append(fixtures.Program(
            program, self.folder, *(arguments or self.arguments())))
        return self.programs[-1]

    def conductors(self, count=1, **kwargs):
        """Start conductors and wait until each takes calls.

        Each has a replica of another name, by which it can be told apart.
        """
        for number in range(count):
            replica = self.folder / f'replica{number}.sqlite'
            fixtures.make_sqlite(replica)
            self.run('computed-conductor', *self.arguments(
                f'conductor{number}',
                {'replica_connections': f'sqlite:///{replica}'}, **kwargs))
        waiting.wait_for(
            lambda: self.rabbitmq.consumers('conductor', self.vhost) == count,
            30, f'{count} conductors')
        return self.programs[-count:]

    def manage(self, *words, arguments=None, check=True):
        done = prefork.run('computed.cmd.manage',
                           *(arguments or self.arguments()), *words)
        assert rabbitmq_server.PASSWORD not in done.stdout + done.stderr
        if check:
            assert done.returncode == 0, done.stderr
        return done

    def json(self, *words):
        return json.loads(self.manage(*words, '-f', 'json').stdout)

    def sql(self, statement):
        return fixtures.SqlitePair.sql(self.database, statement)

    def replies(self):
        return {name for name in self.rabbitmq.queues(self.vhost)
                if name.startswith('reply_')}

    def clean_up(self):
        for program in self.programs:
            program.end()
        process_guests.kill_guests(self.folder)
        for program in self.programs:
            assert 'amqp' in program.output()       # it was loud
            assert rabbitmq_server.PASSWORD not in program.output()
