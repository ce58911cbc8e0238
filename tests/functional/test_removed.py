"""What a program has in its state path is removed while it runs."""

import json
import shutil

import pytest

from tests.functional import test_programs
from tests.support import prefork

standalone = test_programs.standalone


@pytest.mark.parametrize('what', ['sockets', 'folder'])
def test_sockets_that_are_removed_are_made_again(standalone, what):
    rpc = standalone.state / 'rpc'
    if what == 'sockets':
        for path in rpc.iterdir():
            path.unlink()
    else:
        shutil.rmtree(rpc)
    standalone.program.wait_for(
        lambda: standalone.program.output().count('Listening at ') == 2,
        'two new sockets')
    standalone.manage('instance', 'create', 'web', '--command', 'sleep 1000',
                      '--wait')
    assert standalone.program.end() == 0
    assert not list(rpc.iterdir())
    assert 'Traceback' not in standalone.program.output()


def test_a_second_daemon_is_refused_although_the_lock_was_removed(standalone):
    (standalone.state / 'computed.lock').unlink()
    done = prefork.run('computed.cmd.computed', *standalone.arguments)
    assert done.returncode == 1
    assert 'Another computed' in done.stderr
    assert json.loads(standalone.manage(
        'host', 'list', '-f', 'json').stdout)[0]['state'] == 'up'
