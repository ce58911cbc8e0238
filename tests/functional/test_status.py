"""computed-status as a real process, on SQLite."""

import json
import os
import subprocess
import sys

import pytest

from tests.support import fixtures
from tests.support import prefork


def environment():
    """Return the variables that are not of a deployment."""
    return {name: value for name, value in os.environ.items()
            if not name.startswith(('OS_', 'COMPUTED_'))}


def run(*argv):
    return prefork.run('computed.cmd.status', *argv,
                       environment=environment())


def check(*argv):
    """The exit status, and ``{check: result}``."""
    done = run(*argv, 'upgrade', 'check', '--json')
    assert done.stderr == ''
    return done.returncode, {
        found['check']: found['result']
        for found in json.loads(done.stdout)['checks']}


def test_a_missing_schema_fails_and_its_file_is_not_made(tmp_path):
    found, results = check('--state-path', str(tmp_path))
    assert (found, results['Schema']) == (2, 2)
    assert list(tmp_path.iterdir()) == []


def test_all_is_well(pair):
    found, results = check(*fixtures.write_config(
        pair.folder / 'status.conf', {
            'connection': pair.url(pair.primary),
            'replica_connections': pair.url(pair.replica)}))
    assert found == 0
    assert set(results.values()) == {0}


def test_a_replica_that_is_not_there_fails_for_it_has_no_tables(
        pair, tmp_path):
    found, results = check(*fixtures.write_config(
        tmp_path / 'status.conf', {
            'connection': pair.url(pair.primary),
            'replica_connections': pair.url(tmp_path / 'none')}))
    assert (found, results['Replica setup']) == (2, 2)
    assert not (tmp_path / 'none').exists()


def test_a_service_of_unknown_version_is_a_warning(pair, tmp_path):
    fixtures.add_service(pair.primary, 'h9')
    arguments = fixtures.write_config(
        tmp_path / 'status.conf', {'connection': pair.url(pair.primary)})
    assert check(*arguments) == (0, {
        'Schema': 0, 'Replicas answer': 0, 'Replica setup': 0,
        'Clocks': 0, 'Oldest service': 0, 'Quorum queues': 0, 'Guests': 0})
    pair.sql(pair.primary, "UPDATE services SET version = 'unknown'")
    found, results = check(*arguments)
    assert (found, results['Oldest service']) == (1, 1)


def test_the_table_is_for_people(pair, tmp_path):
    # As its user starts it: it imports what it needs itself.
    done = subprocess.run(
        [sys.executable, '-P', '-m', 'computed.cmd.status',
         *fixtures.write_config(tmp_path / 'status.conf', {
             'connection': pair.url(pair.primary)}),
         'upgrade', 'check'], capture_output=True, text=True, timeout=60,
        env=environment())
    assert done.returncode == 0
    assert 'Check: Oldest service' in done.stdout


@pytest.mark.parametrize('line', [
    'connection = nonsense', 'connection = postgresql+asyncpg://h/x',
    'replica_timeout = x'])
def test_a_bad_configuration_is_one_line_and_no_result(tmp_path, line):
    config = tmp_path / 'computed.conf'
    config.write_text(f'[database]\n{line}\n')
    done = run('--config-file', str(config), 'upgrade', 'check')
    assert done.returncode == 255
    assert done.stdout == ''
    assert done.stderr.startswith('computed-status: [database] ')
    assert done.stderr.count('\n') == 1
