"""The faults that our code had are not back."""

import pytest

from tests.schedules import former
from tests.schedules import mutations
from tests.schedules import start

# So many schedules of each scenario are right.
RIGHT = 1


def test_the_scenarios_are_right():
    seeds = [f'former-{name}:{number}' for name in former.ALL
             for number in range(RIGHT)]
    results = start.results(*seeds)
    assert [result['seed'] for result in results] == seeds
    assert [(result['seed'], result['wrong']) for result in results
            if result['wrong']] == []
    never = [name for name, one in former.ALL.items() for _, fault
             in one.script if not any(
                 result['looks'].get(f'fault:{fault}') for result in results
                 if result['seed'].startswith(f'former-{name}:'))]
    assert never == []


@pytest.mark.parametrize('name', former.ALL)
def test_a_scenario_names_its_guard(name):
    assert former.ALL[name].mutation in mutations.ALL
