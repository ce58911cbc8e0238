"""What people and programs get to see."""

import json

import pytest

from computed import context
from computed.cmd.manage import columns
from computed.cmd.manage import hosts
from computed.cmd.manage import replicas
from computed.cmd.manage import tasks
from computed.cmd.manage import usage
from tests.support import deployment as fake

TASK = {'name': '_sync', 'spacing': 600, 'next_run_at': 1010.0,
        'last': fake.RECORD, 'running_since': None, 'runs': 1, 'failures': 0,
        'skipped_overlap': 0}


def shown(cells):
    """What people see of some cells."""
    return {name: cell.human_readable() if isinstance(cell, columns.Cell)
            else cell for name, cell in cells.items()}


def test_a_host_shows_its_state_and_what_its_tasks_lack():
    found = fake.host(silent_for=61, digest=json.dumps(
        {'tasks': 2, 'failing': ['_a', '_b'], 'overdue': []}))
    assert shown(hosts.describe(found, 60)) == {
        'host': 'here', 'state': 'down', 'frozen': '-',
        'last_seen': '61 s ago', 'instances': 0, 'tasks': '2',
        'failing': '_a, _b', 'overdue': '-', 'version': '1', 'revision': 3,
        'damaged': '-'}


@pytest.mark.parametrize('found', [
    fake.host(silent_for=None), fake.host(digest=''), fake.host(digest='{}')])
def test_a_host_that_said_nothing_of_its_tasks_is_shown(found):
    assert shown(hosts.describe_fully(found, 60))['tasks'] == '-'


@pytest.mark.parametrize('digest', ['[]', '{"failing": 7}', 'x'])
def test_a_host_whose_summary_is_damaged_says_so(digest):
    found = shown(hosts.describe(fake.host(digest=digest), 60))
    assert (found['state'], found['damaged']) == ('up', 'service.digest')
    assert {found[name] for name in hosts.DIGEST} == {'damaged'}


def test_a_task_shows_how_it_last_went_and_when_it_goes_on():
    assert tuple(tasks.describe(TASK, 1005.0)) == tasks.LONG
    assert shown(tasks.describe(TASK, 1005.0)) == {
        'name': '_sync', 'spacing': '600 s', 'last_run': '5 s ago',
        'outcome': 'ok', 'duration': '0.25 s', 'candidates': '3',
        'acted': '1', 'lost_races': '2', 'reads': 'replica 2, primary 1',
        'next_run': 'in 5 s'}


def test_a_task_that_is_off_or_runs_says_so():
    off = {**TASK, 'last': None, 'spacing': 0, 'next_run_at': None}
    assert shown(tasks.describe(off, 1005.0))['spacing'] == 'off'
    assert shown(tasks.describe(off, 1005.0))['last_run'] == '-'
    running = {**TASK, 'running_since': 1002.0}
    assert shown(tasks.describe(running, 1005.0))['next_run'] == (
        'running for 3 s')


def test_a_node_that_never_answered_has_no_age():
    node = {'node': 'db2:3306', 'role': 'replica', 'usable': False,
            'reason': 'error', 'since': None, 'age': None, 'share': 0.5,
            'reads': 0, 'ejections': 1}
    assert tuple(replicas.describe(node)) == replicas.COLUMNS
    assert shown(replicas.describe(node)) == {
        **{name: str(value) for name, value in node.items()},
        'usable': False, 'since': '-', 'age': '-', 'share': '50%'}


def test_a_node_that_is_down_says_since_when_and_why():
    node = {'node': 'db1:3306', 'role': 'primary', 'usable': False,
            'reason': 'down', 'problem': 'Too many connections (1040)',
            'down_for': 128.2, 'age': 0.0, 'share': 1.0, 'reads': None,
            'ejections': None}
    found = shown(replicas.describe(node))
    assert found['reason'] == 'down: Too many connections (1040)'
    assert found['since'] == '2 min ago'


@pytest.mark.parametrize('role, line', [
    ('primary', 'primary db1, 0.0 s'),
    ('replica', 'replica db1, at most 0.0 s old')])
def test_an_origin_tells_node_and_age(role, line):
    found = context.Origin(role, 'db1', 'strict', 0.04)
    assert str(columns.origin(found)) == line


@pytest.mark.parametrize('seconds, text', [
    (0.4, '0 s'), (119, '119 s'), (120, '2 min'), (7200, '2 h'),
    (172800, '2 d')])
def test_lengths_of_time_are_coarse(seconds, text):
    assert columns.span(seconds) == text


def test_programs_get_times_in_utc():
    assert columns.relative(1000.5, 0).machine_readable() == (
        '1970-01-01T00:16:40Z')


@pytest.mark.parametrize('value, text', [
    (0, '0 B'), (2047, '2047 B'), (2048, '2.0 KiB'),
    (3 * 2 ** 19, '1536.0 KiB'), (5 * 2 ** 30, '5.0 GiB'),
    (2 ** 63 - 1, '8192.0 PiB')])
def test_numbers_of_bytes_have_units_for_people_only(value, text):
    cell = columns.size(value)
    assert (cell.human_readable(), cell.machine_readable()) == (text, value)


def test_usage_shows_bytes_of_a_period_for_people():
    found = usage.describe(fake.usage(), now=1005)
    assert tuple(found) == usage.COLUMNS
    assert shown(found) == {
        'start_period': '2026-01-01T00:00:00Z', 'mac_address': '02:00',
        'bw_in': '5.0 MiB', 'bw_out': '7 B', 'last_refreshed': '4 s ago'}
