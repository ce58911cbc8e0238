"""The file of a database is gone or damaged, at the start and later."""

import random
import shutil

import pytest

from tests.functional import test_programs
from tests.support import fixtures
from tests.support import process_guests
from tests.support import waiting

PAGE = 4096
REMEDY = 'from a backup'


def remove(path):
    for one in path.parent.glob(f'{path.name}*'):
        one.unlink()


def overwrite(path, start):
    with open(path, 'r+b') as stream:
        size = stream.seek(0, 2)
        stream.seek(start)
        stream.write(random.Random(1).randbytes(size - start))


def cut(path, size):
    with open(path, 'r+b') as stream:
        stream.truncate(size)


DAMAGE = {
    'removed': remove,
    'emptied': lambda path: cut(path, 0),
    'cut in the first page': lambda path: cut(path, 100),
    'cut in the middle': lambda path: cut(path, 5 * PAGE),
    'overwritten': lambda path: overwrite(path, 0),
    'overwritten behind the first page': lambda path: overwrite(path, PAGE)}
each_damage = pytest.mark.parametrize('damage', DAMAGE)


def contents(path):
    return path.read_bytes() if path.exists() else None


class Guarded(test_programs.Standalone):
    """A standalone host with a guest, and a backup of its database."""

    def __init__(self, folder):
        super().__init__(folder)
        self.config.write_text('[DEFAULT]\nreport_interval = 1\n' +
                               test_programs.CONFIG)
        self.backup = self.folder / 'backup.sqlite'
        self.start()
        self.manage('instance', 'create', 'web', '--command', 'sleep 1000',
                    '--wait')
        self.program.end()
        # Nobody has it open, so that the whole database is in one file.
        shutil.copy(self.database, self.backup)

    def restore(self):
        remove(self.database)
        shutil.copy(self.backup, self.database)

    def guest(self):
        """The process of the guest; None: it has ended."""
        return next(iter(process_guests.guests_of(
            self.state, lambda one: one.name() == 'sleep')), None)


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    found = Guarded(tmp_path_factory.mktemp('guarded'))
    yield found
    found.clean_up()


@pytest.fixture
def guarded(made):
    made.restore()
    yield made
    if made.program.process.poll() is None:
        made.program.end()


@each_damage
def test_a_host_refuses_a_damaged_database_and_makes_no_other(guarded, damage):
    DAMAGE[damage](guarded.database)
    before = contents(guarded.database)
    guarded.program = fixtures.Program(
        'computed', guarded.folder, *guarded.arguments)
    assert guarded.program.process.wait(60) == 1
    output = guarded.program.output()
    [line] = [line for line in output.splitlines()
              if str(guarded.database) in line]
    assert line.count(str(guarded.database)) == 1
    assert REMEDY in line and 'db new-incarnation' in line
    assert 'Traceback' not in output
    assert 'No instance keeps running' not in output
    assert 'starting it again' not in output
    assert contents(guarded.database) == before
    assert guarded.guest() is not None


# A file that is only too short has all that is read until something grows.
@pytest.mark.parametrize('damage', [
    name for name in DAMAGE if name != 'cut in the middle'])
def test_a_host_whose_database_is_damaged_goes_on_with_a_backup(
        guarded, damage):
    guarded.start()
    conductor = guarded.conductor()
    started = len(guarded.program.output())
    DAMAGE[damage](guarded.database)
    before = contents(guarded.database)
    guarded.program.wait_for_output('cannot be reported as alive')
    guarded.program.wait_for_output(f'Primary {guarded.database} is away')
    said = [line for line in
            guarded.program.output()[started:].splitlines()
            if ' WARNING ' in line]
    assert len(said) == 2, said     # the host and its conductor
    for line in said:
        assert line.count(str(guarded.database)) == 1
        assert REMEDY in line and 'db new-incarnation' in line
    assert contents(guarded.database) == before

    guarded.restore()
    guarded.program.wait_for_output('answers again after')
    guarded.program.wait_for_output('is reported as alive again after')
    assert guarded.conductor() == conductor
    assert guarded.program.end() == 0
    output = guarded.program.output()
    assert 'Traceback' not in output
    assert 'Instances that keep running: 1.' in output
    assert guarded.guest() is not None


class Cell:
    """A conductor and a host of a cell whose database is a file."""

    def __init__(self, folder):
        self.folder = folder
        self.database = folder / 'cell.sqlite'
        fixtures.make_sqlite(self.database)
        self.arguments = fixtures.write_config(
            folder / 'computed.conf',
            {'connection': f'sqlite:///{self.database}'}, report_interval=1)
        self.programs = []

    def start(self, name):
        program = fixtures.Program(name, self.folder, *self.arguments)
        self.programs.append(program)
        return program

    def wait_until_serving(self):
        waiting.wait_for(lambda: list(self.folder.glob('rpc/*conductor*')),
                         20, 'the socket of the conductor')


@pytest.fixture
def cell(tmp_path):
    found = Cell(tmp_path)
    yield found
    for program in found.programs:
        program.end()


@each_damage
def test_a_conductor_ends_where_waiting_would_not_help(cell, damage):
    DAMAGE[damage](cell.database)
    before = contents(cell.database)
    host = cell.start('computed')
    conductor = cell.start('computed-conductor')
    assert conductor.process.wait(60) == 1
    [line] = conductor.output().splitlines()
    assert line.startswith('computed-conductor: ')
    assert line.count(str(cell.database)) == 1 and REMEDY in line
    assert contents(cell.database) == before
    host.wait_for_output('Waiting: No conductor answers')
    assert host.end() == 0
    assert 'Traceback' not in host.output()


@each_damage
def test_a_conductor_that_runs_waits_for_the_file(cell, damage):
    conductor, host = cell.start('computed-conductor'), None
    cell.wait_until_serving()
    host = cell.start('computed')
    host.wait_for_output('is managed')
    DAMAGE[damage](cell.database)
    if damage == 'cut in the middle':
        # What is left is enough, and no new database begins.
        assert contents(cell.database)
    else:
        conductor.wait_for_output(f'Primary {cell.database} is away')
        host.wait_for_output('cannot be reported as alive')
    assert host.end() == 0 and conductor.end() == 0
    for program in (host, conductor):
        output = program.output()
        assert 'Traceback' not in output
        assert output.count('is away') <= 1
        assert output.count('cannot be reported') <= 1
