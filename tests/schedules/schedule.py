"""One schedule: how its plan runs."""

import dataclasses
import os
import traceback

from tests.schedules import cell as cell_module
from tests.schedules import faults
from tests.schedules import hub
from tests.schedules import users
from tests.schedules import verdict
from tests.schedules import weather

# Virtual seconds within which a cell must be ready.
START = 60
# Virtual seconds between two looks whether all is well.
LOOK = 10.0
# The chance that time passes at a point that is slow.
SLOW_AT = 0.3


@dataclasses.dataclass(frozen=True)
class Result:
    """What became of a schedule.

    :ivar wrong: ``[(kind, seconds since the begin, text)]``
    :ivar looks: how often the judge saw what
    :ivar digest: a hash of each turn
    """

    seed: str
    plan: object
    wrong: list
    looks: dict
    digest: str
    story: list
    turns: int
    calls: int
    commits: int
    seconds: float


def run(seed, plan, folder):
    """Run a schedule; return its result.

    :param plan: a :class:`tests.schedules.profiles.Plan`
    :param folder: that of :func:`tests.schedules.world.begin`
    """
    cell = cell_module.Cell(
        seed, os.path.join(folder, seed), os.path.join(folder, 'template'),
        plan.hosts, plan.conductors, plan.replicas, plan.jitter,
        plan.consumers, plan.volumes)
    here = hub.running
    here.tell(str(plan))
    try:
        _play(cell, here, seed, plan)
    except Exception as error:      # a task that spins, or a fault of ours
        cell.judge.fail('broken', ''.join(traceback.format_exception(error)))
    result = Result(
        seed, plan,
        [(kind, at - hub.BEGIN, text) for kind, at, text
         in cell.judge.found],
        dict(cell.judge.looks), here.digest.hexdigest(), here.story,
        here.turns, cell.network.calls, len(cell.cluster.primary.log),
        here.now - hub.BEGIN)
    cell.close()
    return result


def _play(cell, here, seed, plan):
    cell.start()
    here.run(here.now + START, lambda: not cell.is_ready())
    if not cell.is_ready():
        cell.judge.fail('start', f'not ready after {START} s')
        return
    everybody = [users.User(cell, seed, number, plan.thinks, plan.deletes)
                 for number in range(plan.users)]
    for user in everybody:
        user.start()
    here.bias.update(dict.fromkeys(plan.slow_at, SLOW_AT))
    cell.weather.strength = plan.strength
    sudden = faults.Sudden(cell, plan.rate)
    for name in plan.faults:
        if name in weather.CHANCES:
            sudden.happen(name)
    here.spawn(cell.outside, sudden.run,
               [name for name in plan.faults if name in faults.SUDDEN],
               name='faults')
    here.spawn(cell.outside, sudden.play, plan.script, name='script')
    here.run(here.now + plan.length)
    for user in everybody:
        user.leaves = True
    cell.heal()
    _rest(cell, here, plan)


def _rest(cell, here, plan):
    """Run until all is well, or until the calm is over."""
    until = here.now + plan.calm
    here.run(here.now + plan.least_calm)
    while here.now < until and any(verdict.problems(cell)):
        here.run(here.now + LOOK)
    cell.judge.looks['verdict'] += 1
    cell.judge.looks['guest at the end'] += len(cell.judge.guests)
    for kind, text in verdict.problems(cell):
        cell.judge.fail(kind, text)
