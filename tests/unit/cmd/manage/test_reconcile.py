import pytest

from computed import exception
from tests.support import deployment as fake

HERE, THERE = fake.UUID.format(1), fake.UUID.format(2)


@pytest.fixture
def held(deployment):
    """Two instances on two hosts, both held; a third host is down."""
    deployment.all_hosts = [
        fake.host(), fake.host('there'), fake.host('down', silent_for=999)]
    deployment.primary = [
        fake.instance(), fake.instance(2, 'db', host='there')]
    return deployment


def test_it_decides_about_the_instances_that_are_named(manage, held):
    assert manage('instance', 'reconcile', 'web', '--keep-guest') == (
        0, 'web: the guest is kept\n')
    assert held.operated == [('here', HERE, True)]


def test_it_decides_about_all_on_hosts_that_are_up(manage, held):
    held.refusals['down'] = AssertionError('it is not asked')
    assert manage('instance', 'reconcile', '--all-regressed',
                  '--keep-record') == (
        0, 'web: the record is kept\ndb: the record is kept\n')
    assert held.operated == [('here', HERE, False),
                             ('there', THERE, False)]


def test_or_on_one_host(manage, held):
    assert manage('instance', 'reconcile', '--all-regressed', '--host',
                  'there', '--keep-guest')[0] == 0
    assert held.operated == [('there', THERE, True)]


@pytest.mark.parametrize('name', ['gone', fake.UUID.format(3)])
@pytest.mark.parametrize('argv', [[], ['--host', 'there']], ids=str)
def test_an_instance_that_the_database_has_lost_is_found_at_its_host(
        manage, held, name, argv):
    held.lost = [fake.instance(3, 'gone', host='there')]
    assert manage('instance', 'reconcile', name, '--keep-guest', *argv) == (
        0, 'gone: the guest is kept\n')
    assert held.operated == [('there', fake.UUID.format(3), True)]


def test_a_name_that_several_lost_instances_have_is_refused(manage, held):
    held.lost = [fake.instance(3, 'gone', host='there'),
                 fake.instance(4, 'gone')]
    assert manage('instance', 'reconcile', 'gone', '--keep-guest')[0] == 1
    assert held.operated == []


@pytest.mark.parametrize('argv', [
    ['web', 'nobody'], ['--all-regressed']], ids=str)
def test_an_error_stops_no_other_and_is_told_in_the_end(
        manage, held, argv):
    held.refusals['there'] = exception.HostUnavailable(host='there')
    status, said = manage('instance', 'reconcile', *argv, '--keep-guest')
    assert (status, said) == (1, 'web: the guest is kept\n')


@pytest.mark.parametrize('argv', [
    ['--keep-guest'], ['web', '--all-regressed', '--keep-guest'],
    ['web', '--all-regressed', '--host', 'h', '--keep-guest'],
    ['web', '--host', 'there', '--keep-guest']], ids=str)
def test_nothing_is_decided_unless_it_is_clear_for_whom(manage, held, argv):
    assert manage('instance', 'reconcile', *argv)[0] != 0
    assert held.operated == []


@pytest.mark.parametrize('argv', [
    ['web'], ['web', '--keep-guest', '--keep-record']], ids=str)
def test_nor_without_one_decision(manage, held, argv):
    with pytest.raises(SystemExit):
        manage('instance', 'reconcile', *argv)
    assert held.operated == []
