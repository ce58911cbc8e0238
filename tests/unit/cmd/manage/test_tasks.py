import json

import pytest

from tests.support import deployment as fake

# The longest name of our tasks.
NAME = 'update_available_resource'


def task(**values):
    """A task, as a host describes it."""
    return {'name': NAME, 'spacing': 60.0, 'last': fake.RECORD,
            'next_run_at': 1e9, 'running_since': 5e8, 'runs': 3,
            'failures': 1, 'skipped_overlap': 0, **values}


@pytest.mark.parametrize('outcome, status', [
    ('ok', 0), ('put_off', 75), ('error', 1)])
def test_the_exit_status_says_how_a_run_ended(
        manage, deployment, outcome, status):
    deployment.record = {**fake.RECORD, 'outcome': outcome}
    assert manage('task', 'run', '_sync', '-f', 'value', '-c', 'outcome') == (
        status, f'{outcome}\n')


def test_a_list_fits_a_terminal_of_80_columns(manage, deployment):
    deployment.tasks = [task(last={**fake.RECORD, 'outcome': 'put_off'})]
    code, printed = manage('task', 'list')
    assert code == 0 and NAME in printed
    assert max(map(len, printed.splitlines())) <= 80


def test_a_long_list_shows_all(manage, deployment):
    deployment.tasks = [task()]
    code, printed = manage('task', 'list', '--long', '-f', 'json')
    [shown] = json.loads(printed)
    assert code == 0
    assert (shown['reads'], shown['lost_races']) == (
        {'replica': 2, 'primary': 1}, 2)


def test_programs_get_every_time_as_iso_8601(manage, deployment):
    deployment.tasks, deployment.history = [task()], [fake.RECORD]
    _, printed = manage('task', 'show', NAME, '-f', 'json')
    shown = json.loads(printed)
    assert shown['history'][0]['started_at'] == '1970-01-01T00:16:40Z'
    assert shown['last_run'] == '1970-01-01T00:16:40Z'
    assert shown['next_run'] == '2001-09-09T01:46:40Z'
