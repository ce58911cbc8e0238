import json

import pytest

from computed import context
from tests.support import deployment as fake


@pytest.fixture
def show(manage, deployment):
    """Shows a host with a compute node of these values."""
    def run(output, **values):
        deployment.all_hosts = [fake.host(node=fake.compute_node(**values))]
        code, printed = manage('host', 'show', '-f', output)
        assert code == 0
        return json.loads(printed) if output == 'json' else printed
    return run


def line(printed, name):
    [found] = [line for line in printed.splitlines()
               if line.startswith(f'| {name} ')]
    return found.split('|')[2].strip()


def test_each_class_of_resources_is_one_line(show):
    assert line(show('table', vcpus_used=3, vcpus_reserved=1), 'vcpus') == (
        '3 of 14 used, 11 free (total 8, reserved 1, ratio 2)')


def test_programs_get_the_figures(show):
    assert show('json', vcpus_used=3, vcpus_reserved=1)['vcpus'] == {
        'total': 8, 'reserved': 1, 'allocation_ratio': 2.0, 'capacity': 14,
        'used': 3, 'claimed': 0, 'free': 11}


def test_a_host_that_promised_too_much_says_so(show):
    printed = show('table', vcpus_used=20, vcpus_claimed=4)
    assert line(printed, 'vcpus') == (
        '20 of 16 used, -4 free: OVERCOMMITTED, 4 of it being built '
        '(total 8, reserved 0, ratio 2)')
    assert 'OVERCOMMITTED' not in line(printed, 'memory_mb')
    assert show('json', vcpus_used=20)['vcpus']['free'] == -4


def test_what_is_measured_stands_beside_it(show):
    shown = show('json')
    assert shown['memory_mb_available'] == 700
    assert shown['memory_mb']['free'] == 2048


def test_a_host_whose_service_is_older_shows_what_it_told(show):
    shown = show('table', vcpus_used=None)
    assert line(shown, 'vcpus') == 'total 8'
    assert line(shown, 'disk_gb') == 'total 0'


def test_a_host_that_told_nothing_yet_is_shown(manage, deployment):
    code, printed = manage('host', 'show', '-f', 'json')
    shown = json.loads(printed)
    assert (code, shown['vcpus'], shown['disk_gb_free']) == (0, None, None)


@pytest.mark.parametrize('silent_for, age, state', [
    (1.0, 0.5, 'up'), (50.0, 9.0, 'up'),
    (1.0, 59.1, 'unknown (up 59 s before this answer)'),
    (50.0, 1000.0, 'unknown (up 17 min before this answer)'),
    (61.0, 1000.0, 'down')])
def test_an_old_answer_does_not_say_that_a_host_is_down(
        manage, deployment, silent_for, age, state):
    deployment.origin = context.Origin(
        'replica', 'db2', context.AVAILABILITY, age)
    deployment.all_hosts = [fake.host(silent_for=silent_for)]
    deployment.all_hosts[0].origin = deployment.origin
    _, printed = manage('host', 'show', '--availability')
    assert line(printed, 'state') == state
    _, printed = manage('host', 'list', '--availability', '-f', 'json')
    assert json.loads(printed)[0]['state'] == state.partition(' ')[0]
