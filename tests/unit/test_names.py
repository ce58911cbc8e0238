"""What hosts and instances may be called."""

import socket

import pytest

from computed import exception
from computed import names


@pytest.mark.parametrize('name', [
    'h1', 'a.example.org', '10.0.0.1', '::1', 'fe80::1%eth0', 'a_b-c',
    'x' * 255, socket.gethostname()])
def test_a_host_has_the_name_of_a_machine(name):
    names.ensure_host(name)
    names.ensure_instance(name)


@pytest.mark.parametrize('name', [
    '', '(all)', '(none)', 'h1\n', ' h1', 'a/../b', '../x', '.', '-x', 'ü',
    'x' * 300, None, 7, ['h1']], ids=repr)
def test_what_could_be_taken_for_something_else_is_no_host(name):
    with pytest.raises(exception.InvalidName) as refused:
        names.ensure_host(name)
    assert len(str(refused.value)) < 250
    assert str(refused.value).isprintable()


@pytest.mark.parametrize('name', [
    '', 'a\nb', '\x1b[2J', ' a', 'a ', 'x' * 256, None, 7], ids=repr)
def test_what_could_not_be_typed_again_is_no_instance(name):
    with pytest.raises(exception.InvalidName):
        names.ensure_instance(name)


def test_an_instance_may_be_called_almost_anything():
    names.ensure_instance('web 1 ü')
