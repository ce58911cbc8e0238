"""Those who are told what was done, and what the judge sees of it: I9.

What is told was committed. What has one key is told in one way. If no
conductor died and no answer of a commit was lost, all is told.
"""

from computed.notifications import outbox
from tests.schedules import audited
from tests.schedules import hub

# The result of an act that was told, by the phase of its notification.
RESULTS = {'start': None, 'end': 'done', 'error': 'failed',
           'released': 'released', 'taken_over': 'taken over'}
# After these faults a notification can be missing.
LOSSY = ('crash_conductor', 'freeze_conductor', 'lose_commit', 'cut_db',
         'db_restart', 'switch_over', 'wrong_database')


class Consumers:
    """All that listen; ``told`` has ``{key: data}`` of acts."""

    def __init__(self, cell):
        self._cell = cell
        self.told, self._keys = {}, {}
        self.audits = audited.Audits(cell)

    def channel(self, conf, publisher):
        """Return a way to them, as ``rpc.notifier.make`` does."""
        return _Channel(self)

    def hears(self, event_type, data):
        """Judge a notification that arrives."""
        cell, key = self._cell, data['key']
        cell.judge.looks['told'] += 1
        hub.running.tell(f'told {event_type} {key[:4]}')
        if event_type in (audited.EXISTS, audited.USAGE):
            return self.audits.hears(event_type, data)
        if not cell.judge.losses and self.told.get(key, data) != data:
            cell.judge.fail('told-differently', f'{key}: {data} after '
                            f'{self.told[key]}')
        self.told[key] = data
        fact = data['uuid'], data['claim_id'], data['phase']
        if not cell.judge.losses and data['claim_id'] and (
                self._keys.setdefault(fact, key) != key):
            cell.judge.fail('key-changed', f'{self._keys[fact]}, {key}')
        if not cell.judge.losses and not any(
                self._matches(row, data) for row in self._rows()):
            cell.judge.fail('told-not-done', f'{event_type} {data}')

    @staticmethod
    def _matches(row, data):
        return (row['uuid'], row['claim_id'], row['operation']) == (
            data['uuid'], data['claim_id'], data['operation']) and (
                RESULTS[data['phase']] in (None, row['result']))

    def _rows(self):
        return self._cell.cluster.primary.rows(
            'SELECT uuid, claim_id, operation, result FROM events')

    def problems(self, serving):
        """Yield what was done and not told, or not reported."""
        yield from self.audits.problems(serving)
        judge = self._cell.judge
        if judge.losses or any(judge.looks[f'fault:{name}']
                               for name in LOSSY):
            return
        told = [(data['uuid'], data['claim_id'], data['phase'])
                for data in self.told.values()]
        for row in self._rows():
            if row['claim_id'] is None:
                continue
            for phase in ('start', *(
                    name for name, result in RESULTS.items()
                    if result == row['result'] is not None)):
                if (row['uuid'], row['claim_id'], phase) not in told:
                    yield 'not-told', (f'{phase} of {row["operation"]} of '
                                       f'{row["uuid"][:4]}')


class _Channel:
    """A broker, which may be away."""

    def __init__(self, consumers):
        self._consumers = consumers

    def send(self, event_type, payload, failed):
        here, weather = hub.running, self._consumers._cell.weather
        here.sleep(weather.within(0.1))
        if weather.happens('mute'):
            here.sleep(weather.within(10.0))
            raise outbox.Unsent('away')
        self._consumers.hears(event_type, payload['computed_object.data'])
        if weather.happens('lose_reply'):
            raise outbox.Unsent('no answer')

    def close(self):
        pass
