import pathlib

import pytest

from tests.support import order


def test_files_that_wait_and_files_that_compute_take_turns():
    names = ['unit/test_a.py', 'functional/test_b.py', 'functional/test_c.py',
             'functional/test_programs.py', 'functional/test_eventlet.py',
             'integration/test_d.py', 'integration/test_faults.py']
    files = [pathlib.Path('tests', name) for name in names]
    found = [str(file.relative_to('tests')) for file in order.ordered(files)]
    assert found == [
        'integration/test_faults.py', 'functional/test_eventlet.py',
        'functional/test_programs.py', 'integration/test_d.py',
        'functional/test_b.py', 'functional/test_c.py', 'unit/test_a.py']


@pytest.mark.parametrize('nodeid, name', [
    ('tests/functional/test_a.py::test_b[unix]', 'tests/functional/test_a.py'),
    ('tests/functional/test_a.py::TestC::test_b',
     'tests/functional/test_a.py'),
    ('tests/functional/test_a.py::test_b[rabbit]', 'rabbitmq'),
    ('tests/functional/test_a.py::test_b[RabbitMQ]', 'rabbitmq'),
    ('tests/integration/test_broker_partition.py::test_b', 'rabbitmq'),
    ('tests/integration/test_galera.py::test_b', 'galera')])
def test_one_worker_has_all_tests_of_a_server_that_is_slow_to_start(
        nodeid, name):
    assert order.unit(nodeid) == name
