"""Find a smaller plan that fails in the same way."""

import dataclasses

from tests.schedules import schedule

# Seconds after the first failure at which a shorter schedule may end.
REST = 2.0


def shorten(result, folder):
    """Drop what the failure does not need, one part after the other.

    :param result: of a schedule that failed
    :returns: the result of the smallest plan found; perhaps ``result``
    """
    kind, at, _ = result.wrong[0]
    best, tried = result, {result.plan}
    improved = True
    while improved:
        improved = False
        for plan in _smaller(best.plan, at):
            if plan in tried:
                continue
            tried.add(plan)
            found = schedule.run(result.seed, plan, folder)
            if any(wrong[0] == kind for wrong in found.wrong):
                best, improved = found, True
                break
    return best


def _smaller(plan, failed_at):
    """Yield plans that lack one part of ``plan``."""
    for part in ('faults', 'script'):
        for one in getattr(plan, part):
            yield dataclasses.replace(plan, **{part: tuple(
                other for other in getattr(plan, part) if other != one)})
    for part in ('users', 'hosts', 'conductors'):
        if getattr(plan, part) > 1:
            yield dataclasses.replace(plan, **{part: getattr(plan, part) - 1})
    if plan.replicas:
        yield dataclasses.replace(plan, replicas=plan.replicas - 1)
    if plan.jitter:
        yield dataclasses.replace(plan, jitter=0.0)
    length = float(int(failed_at + REST))
    if length < plan.length:
        yield dataclasses.replace(plan, length=length)
