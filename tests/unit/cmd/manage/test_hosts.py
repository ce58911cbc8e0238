import json

import pytest

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
