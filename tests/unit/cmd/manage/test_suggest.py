import pytest

from computed import exception
from computed.cmd.manage import suggest
from tests.support import deployment as fake


@pytest.mark.parametrize('wanted, known, found', [
    ('wbe', ['db', 'web'], 'web'), ('WEB1', ['web2', 'Web1'], 'Web1'),
    ('web', ['web'], None), ('Web', ['Web', 'web'], None),
    ('web', ['quartz'], None), ('web', [], None)])
def test_the_nearest_name_is_found(wanted, known, found):
    assert suggest.nearest(wanted, known) == found


def test_an_error_about_no_name_is_left_as_it_is():
    error = exception.ConductorUnavailable(method='get')
    assert suggest.explained(error, [
        (exception.HostNotFound, 'host', lambda: ['h'])]) == str(error)


def test_without_an_answer_there_is_no_suggestion():
    def fail():
        raise exception.ConductorUnavailable(method='get')
    error = exception.HostNotFound(host='h')
    assert suggest.explained(error, [
        (exception.HostNotFound, 'host', fail)]) == str(error)


@pytest.mark.parametrize('argv, meant', [
    (['instance', 'show', 'wbe'], 'web'),
    (['instance', 'stop', 'wbe'], 'web'),
    (['host', 'show', 'heer'], 'here'),
    (['instance', 'list', '--host', 'heer'], 'here'),
    (['task', 'list', '--host', 'heer'], 'here'),
    (['task', 'show', '_snyc'], '_sync'),
    (['replica', 'show', 'db21'], 'db2')])
def test_who_misspells_a_name_hears_the_nearest(
        manage, deployment, caplog, argv, meant):
    deployment.primary = [fake.instance()]
    deployment.refusals['heer'] = exception.HostUnavailable(host='heer')
    deployment.tasks = [{'name': '_sync'}]
    deployment.nodes = [{'node': 'db1'}, {'node': 'db2'}]
    code, printed = manage(*argv)
    assert (code, printed) == (1, '')
    assert f'Do you mean {meant}?' in caplog.text


def test_a_host_without_instances_has_an_empty_list(manage, deployment):
    assert manage('instance', 'list', '--host', 'here', '-f', 'value') == (
        0, '')
