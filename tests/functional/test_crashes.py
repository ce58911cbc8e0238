"""A host killed between any two side effects of each task and operation.

Whatever was the last thing it did, its successor comes to the state that an
undisturbed host comes to, and nothing is done twice.
"""

import collections
import json

import pytest

from computed import manager
from computed import periodic
from tests.crashes import scenarios
from tests.support import prefork

# One task tells consumers.
NOTIFICATIONS = 'log'


def crashes(pair, *arguments):
    """How a scenario ends undisturbed, and killed before each effect."""
    done = prefork.run('tests.crashes', str(pair.folder), str(pair.primary),
                       *arguments, timeout=1200)
    assert done.returncode == 0, done.stderr[-4000:] + done.stdout
    found = json.loads(done.stdout)
    wanted, killed = found['unperturbed'], found['killed']
    assert len(killed) > 1, found
    for point, end in killed.items():
        done_twice = (collections.Counter(end['effects']) -
                      collections.Counter(wanted['effects']))
        assert not done_twice, (point, end)
    return wanted, killed


def different(wanted, killed):
    """The points of death after which not all was as it would have been."""
    return {point: end for point, end in killed.items() if any(
        end[what] != wanted[what]
        for what in ('rows', 'guests', 'volumes', 'journal'))}


def test_each_task_and_operation_is_there():
    known = {name for name, value in vars(manager.ComputeManager).items()
             if isinstance(value, periodic.PeriodicTask) or
             '_instance' in name or '_volume' in name}
    assert known
    assert known <= scenarios.SCENARIOS.keys()


# A build that was interrupted is not repeated. If its guest runs, it is done;
# else its user is told, and decides.
# One task changes nothing that lasts.
ASKED = sorted(scenarios.SCENARIOS.keys() - {
    'build_instance', '_check_instance_build_time',
    '_sync_scheduler_instance_info'})


@pytest.mark.parametrize('name', ASKED)
def test_it_ends_as_if_nothing_had_been(pair, name):
    wanted, killed = crashes(pair, name)
    assert wanted['journal'] == []
    assert different(wanted, killed) == {}


@pytest.mark.parametrize('name, first', [
    ('stop_instance', 'guest 4'), ('delete_instance', 'guest gone'),
    ('reboot_instance', 'guest 1'), ('several instances', 'guest 4')])
def test_the_successor_may_be_killed_too(pair, name, first):
    assert different(*crashes(pair, name, first)) == {}


def test_a_build_is_done_once_or_leaves_nothing_but_its_failure(pair):
    wanted, killed = crashes(pair, 'build_instance')
    ends = {True: 0, False: 0}
    for point, found in killed.items():
        failed = "'error'" in found['rows']['instances'][0]
        ends[failed] += 1
        if failed:
            assert 'the service stopped while' in (
                found['rows']['instances'][0]), point
            assert (found['journal'], found['guests']) == ([], {}), point
        else:
            assert different(wanted, {point: found}) == {}
    assert all(ends.values()), ends


def test_a_build_that_is_told_to_end_leaves_nothing_but_its_failure(pair):
    wanted, killed = crashes(pair, '_check_instance_build_time')
    for found in [wanted, *killed.values()]:
        assert "'error'" in found['rows']['instances'][0]
        assert (found['journal'], found['guests']) == ([], {})
