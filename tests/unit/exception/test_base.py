import subprocess
import sys

import pytest

from computed import exception


def test_a_message_whose_values_another_release_sent_raises_nothing():
    error = exception.PrimaryUnreachable(other='x')
    assert "{'other': 'x'}" in str(error)
    assert str(exception.rebuilt(error)) == str(error)


@pytest.mark.parametrize('option', ['-O', '-OO'])
def test_without_docstrings_a_message_still_tells(option):
    done = subprocess.run(
        [sys.executable, option, '-c', 'from computed import exception\n'
         'print(exception.rebuilt(exception.HostNotFound(host="h9")))'],
        capture_output=True, text=True, timeout=360)
    assert (done.returncode, done.stderr) == (0, '')
    assert 'h9' in done.stdout
