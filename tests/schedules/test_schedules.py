"""The schedules of ``make test``: few, and always the same ones."""

from tests.schedules import start

SAME = [f'swarm:{number}' for number in range(4)]


def _digests(*seeds):
    return [result['digest'] for result in start.results(*seeds)]


def test_two_hundred_short_schedules():
    with start.program('__main__', '--profile', 'short', '--count',
                       '200') as done:
        told = done.stdout.read()
    assert done.returncode == 0, told


def test_a_seed_repeats_in_the_same_process_and_in_another():
    *first, again = _digests(*SAME, SAME[0])
    assert again == first[0]
    assert [_digests(seed)[0] for seed in reversed(SAME)] == first[::-1]
    assert len(set(first)) == len(SAME)
