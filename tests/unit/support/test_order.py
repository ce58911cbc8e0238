import pathlib

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
