"""What hosts report of their instances in periods of accounting: I13.

Of each audit that is done, consumers have each instance that was there, and it
counts each once. Each host does its audits.
"""

import collections
import datetime

from computed.conf import audit_period
from computed.objects import usage_audit as audit_obj
from tests.schedules import tokens

EXISTS, USAGE = 'compute.instance.exists', 'volume.usage'
# Seconds of a period, and after its end until all of it is recorded.
PERIOD, SETTLED = 20, 6
# Seconds after a period in which its audit is done, when all is calm.
LATEST = 40
FORM = '%Y-%m-%d %H:%M:%S'


def _border_in_unit(period, now):
    return now.replace(second=now.second // PERIOD * PERIOD, microsecond=0)


def install():
    """Let periods be short, and audits go in small parts."""
    audit_period.Period._border_in_unit = _border_in_unit
    audit_period.Period._border_before = lambda period, border: (
        border - datetime.timedelta(seconds=PERIOD))
    audit_period.SETTLED = SETTLED
    audit_obj.AT_ONCE = 2


class Audits:
    """What consumers were told: ``{(begin, end, host): uuids}``."""

    def __init__(self, cell):
        self._cell = cell
        self._told = collections.defaultdict(set)

    def hears(self, event_type, data):
        """Take a notification that no act has caused."""
        judge = self._cell.judge
        if event_type == EXISTS:
            judge.looks['exists'] += 1
            self._told[(*(_plain(data[f'audit_period_{side}'])
                          for side in ('beginning', 'ending')),
                        data['host'])].add(data['uuid'])
        elif self._cell.storage is not None and not judge.losses:
            key = data['instance_uuid'], data['volume_id']
            if data['read_bytes'] > self._cell.storage.recorded.get(key, 0):
                judge.fail('told-not-recorded', f'{data}')

    def problems(self, serving):
        """Yield what was not reported, and who does not report.

        :param serving: ``{host: machine}``
        """
        judge, primary = self._cell.judge, self._cell.cluster.primary
        if judge.losses or any(judge.looks[f'fault:{name}']
                               for name in tokens.EXCUSES):
            return
        instances = [*primary.rows('SELECT * FROM instances'),
                     *self._cell.rows.purged]
        newest = {}
        for row in primary.rows('SELECT * FROM usage_audits'):
            begin, end, host = (row['period_beginning'][:19],
                                row['period_ending'][:19], row['host'])
            told = self._told[begin, end, host]
            if row['state'] == 'done':
                newest[host] = max(end, newest.get(host, ''))
                for missing in {one['uuid'] for one in instances if _existed(
                        one, host, begin, end)} - told:
                    yield 'not-reported', f'{missing[:4]} until {end}'
                if row['reported'] != len(told):
                    yield 'reported-twice', (f'{row["reported"]} for '
                                             f'{len(told)} until {end}')
        due = datetime.datetime.fromtimestamp(
            primary.wall() - LATEST - PERIOD, datetime.UTC)
        for host in serving:
            if newest.get(host, '') < f'{due:{FORM}}':
                yield 'not-audited', f'{host} since {newest.get(host)}'


def _plain(text):
    return text.replace('T', ' ').rstrip('Z')


def _existed(row, host, begin, end):
    gone = row['deleted_at'] or row['terminated_at']
    return row['host'] == host and (
        (row['first_launched_at'] or '9')[:19] < end) and not (
            row['deleted'] and gone and gone[:19] <= begin)
