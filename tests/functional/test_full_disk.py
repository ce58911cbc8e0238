"""A state path without any room, or that nobody may write to."""

import json
import os
import signal

from tests.functional import test_programs
from tests.support import fixtures
from tests.support import small_disk
from tests.support import waiting

pytestmark = small_disk.needs_root

# Takes all the room there is, and all that becomes free.
GREEDY = 'while :; do cat /dev/zero >> fill; sleep 0.1; done'


def start_only(found):
    found.program = fixtures.Program(
        'computed', found.folder.parent, *found.arguments)
    return found.program


def end_guests(found):
    """Create guests, fill the disk, end the guests."""
    found.start()
    for name in ('web', 'db', 'old'):
        found.manage('instance', 'create', name, '--command', 'sleep 1000',
                     '--wait')
    found.manage('instance', 'create', 'greedy', '--command', GREEDY,
                 '--wait')
    waiting.wait_for(lambda: 'were dropped' in found.manage(
        'instance', 'log', 'greedy').stdout, 20)
    small_disk.fill(found.state)
    for words in (['stop', 'web'], ['reboot', 'db'], ['start', 'web'],
                  ['reboot', 'db', '--hard'], ['delete', 'old'],
                  ['stop', 'db'], ['delete', 'web']):
        found.manage('instance', *words, '--wait')
        small_disk.assert_full(found.state)
    found.manage('instance', 'delete', 'greedy', '--wait')
    said = found.program.output()
    return dict(found.rows('name, vm_state')), said


def small(tmp_path, megabytes, job):
    """Run ``job`` with a standalone daemon whose state path is small."""
    (tmp_path / 'state').mkdir(mode=0o700)

    def life():
        found = test_programs.Standalone(tmp_path)
        try:
            return job(found)
        finally:
            found.clean_up()
    return small_disk.on_a_small_disk(tmp_path / 'state', megabytes, life)


def test_guests_are_ended_on_a_full_disk(tmp_path):
    rows, said = small(tmp_path, 32, end_guests)
    assert rows == {'web': 'deleted', 'db': 'stopped', 'old': 'deleted',
                    'greedy': 'deleted'}
    assert 'Traceback' not in said
    for text in ('could not be journaled', 'What is known of instance'):
        assert text not in said


def start_on_full(found):
    found.start()
    found.manage('instance', 'create', 'web', '--command', 'sleep 1000',
                 '--wait')
    assert found.program.end() == 0
    filler = small_disk.fill(found.state)
    waits = start_only(found)
    waits.wait_for_output('Waiting: ')
    ended = waits.end(signal.SIGTERM)
    said = waits.output()
    later = start_only(found)
    later.wait_for_output('Waiting: ')
    os.unlink(filler)
    later.wait_for_output('Next, in another terminal', 60)
    found.manage('instance', 'delete', 'web', '--wait')
    return ended, said, later.output()


def test_a_start_on_a_full_disk_waits_and_says_where(tmp_path):
    ended, said, later = small(tmp_path, 32, start_on_full)
    assert ended == 0
    for text in (said, later):
        assert 'Traceback' not in text
        assert str(tmp_path / 'state') in text.partition('Waiting: ')[2]
    assert said.count('Waiting: ') == 1


def start_read_only(found):
    found.start()
    assert found.program.end() == 0
    small_disk.remount(found.state, 'ro')
    waits = start_only(found)
    waits.wait_for_output('Waiting: ')
    ended = waits.end(signal.SIGTERM)
    later = start_only(found)
    later.wait_for_output('Waiting: ')
    small_disk.remount(found.state, 'rw')
    later.wait_for_output('Next, in another terminal', 60)
    return ended, waits.output()


def test_a_start_on_a_read_only_disk_waits_and_says_where(tmp_path):
    ended, said = small(tmp_path, 32, start_read_only)
    assert ended == 0
    assert 'Traceback' not in said
    assert f'{tmp_path}/state/computed.lock cannot be written: Read-only' in (
        said)


def damage_identity(found):
    found.start()
    assert found.program.end() == 0
    path = found.state / 'service.json'
    before = json.loads(path.read_text())
    path.write_text('{"service_id": "')
    refused = start_only(found)
    code = refused.process.wait(120)
    after = path.read_text()
    path.write_text(json.dumps(before))
    return code, refused.output(), after


def test_a_torn_identity_ends_the_start_in_one_line(tmp_path):
    found = test_programs.Standalone(tmp_path)
    code, said, after = damage_identity(found)
    assert (code, after) == (1, '{"service_id": "')
    [line] = [line for line in said.splitlines() if 'service.json' in line]
    assert 'is damaged' in line and 'Restore it from a backup' in line
    assert 'Traceback' not in said
    found.start()
    found.clean_up()
