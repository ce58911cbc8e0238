"""What people read: the story of a schedule, and the sum of many."""

import collections
import json

# What the judge must have looked at to say anything about an invariant: the
# beginnings of names of looks.
INVARIANTS = {
    'I1 acts': ('act:',), 'I2 ages': ('read:replica:lag_tolerant',),
    'I3 own writes': ('own-write',),
    'I4 strict reads': ('read:primary:strict', 'read:replica:after_host'),
    'I5 agreement': ('guest at the end',), 'I6 claims': ('verdict',),
    'I6 one life': ('host taken',), 'I7 requests': ('request:',),
    'I8 errors': ('verdict',), 'I9 told': ('told',),
    'I10 consoles': ('token:',),
    'I12 volumes': ('volume', 'usage'), 'I13 audits': ('exists',)}
# A run of so many schedules must have looked at everything.
ENOUGH = 50


def command(result):
    """Return the command that repeats a schedule."""
    return (f'python -m tests.schedules {result["seed"]} '
            f"--plan '{json.dumps(result['plan'])}'")


def tell_story(result, shortened):
    """Print what happened, and what was wrong."""
    if shortened:
        print('\nThe smallest schedule found that fails in the same way:')
    for at, text in result['story']:
        print(f'{at:9.3f}  {text}')
    for kind, at, text in result['wrong']:
        print(f'{kind} after {at:.3f} s: {text}')
    if not result['wrong']:
        print(f'Nothing is wrong. Hash of its turns: {result["digest"]}')
    print(f'Repeat it: {command(result)}')


class Summary:
    """The sum of many schedules."""

    def __init__(self):
        self.count = self.full = 0
        self.cpu = self.virtual = 0.0
        self.turns = self.calls = self.commits = 0
        self.failed = []
        self._kinds = collections.Counter()
        self._looks = collections.Counter()
        # {fault: Counter of looks in the schedules in which it happened}
        self._coverage = collections.defaultdict(collections.Counter)

    def add(self, result):
        """Add the result of a schedule, a dict; tell if it failed."""
        plan, looks = result['plan'], result['looks']
        self.count += 1
        self.full += plan['conductors'] == 2 and plan['replicas'] == 2
        self.cpu += result['cpu']
        self.virtual += result['seconds']
        for name in ('turns', 'calls', 'commits'):
            setattr(self, name, getattr(self, name) + result[name])
        self._looks.update(looks)
        for name in looks:
            if name.startswith('fault:'):
                fault = name.removeprefix('fault:')
                self._coverage[fault].update(looks)
                self._coverage[fault]['schedules'] += 1
        if result['wrong']:
            self.failed.append(result['seed'])
            kind, at, text = result['wrong'][0]
            self._kinds[kind] += 1
            print(f'{result["seed"]} {kind} after {at:.3f} s: {text}\n'
                  f'    make schedules SEED={result["seed"]}', flush=True)

    def _seen(self, looks, invariant):
        return sum(count for name, count in looks.items()
                   if name.startswith(INVARIANTS[invariant]))

    def show(self):
        """Print it; return whether something is wrong."""
        if not self.count:
            print('No schedule ran.')
            return True
        blind = [name for name in INVARIANTS
                 if not self._seen(self._looks, name)]
        print(f'{self.count} schedules, {self.full} of them full; '
              f'{len(self.failed)} failed. {self.cpu:.0f} s of CPU, '
              f'{self.count / self.cpu * 60:.0f} schedules a CPU minute, '
              f'{self.virtual / self.cpu:.0f} virtual seconds a second; '
              f'{self.turns} turns, {self.calls} calls, '
              f'{self.commits} commits.')
        self._show_table()
        for kind, number in self._kinds.most_common():
            print(f'{number:6} x {kind}')
        if self.count >= ENOUGH and blind:
            print('The judge has seen nothing of:', ', '.join(blind))
        return bool(self.failed) or (self.count >= ENOUGH and bool(blind))

    def _show_table(self):
        """Print how often each invariant was looked at under each fault."""
        names = list(INVARIANTS)
        print(f'{"fault":18}{"schedules":>10}' + ''.join(
            f'{name:>17}' for name in names))
        for fault, looks in sorted(self._coverage.items()):
            print(f'{fault:18}{looks["schedules"]:10}' + ''.join(
                f'{self._seen(looks, name):17}' for name in names))
        print(f'{"all":18}{self.count:10}' + ''.join(
            f'{self._seen(self._looks, name):17}' for name in names))
