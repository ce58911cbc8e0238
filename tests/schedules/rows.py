"""What commits make of the rows of instances: parts of I1, I3 and I5."""

import dataclasses

from computed import states
from tests.schedules import wishes

QUERY = ('SELECT uuid, instances.host, instances.revision, vm_state, '
         'task_state, power_state, claim_id, claim_owner, service_id, '
         'settled_claim_id, deleted, cleaned, guest_left, clean_attempts, '
         'first_launched_at, terminated_at, deleted_at '
         'FROM instances LEFT JOIN services ON services.host = instances.host')
# A power state is recorded by these facts; a new name changes none of them.
FACTS = ('vm_state', 'task_state', 'power_state', 'claim_id')
# What is to be recorded after a call of the driver; ACTIVE after all others.
AFTER = {'power_off': states.STOPPED, 'pause': states.PAUSED,
         'destroy': states.DELETED}


@dataclasses.dataclass
class Known:
    """A row as the last commit left it.

    :ivar since: when one of its ``FACTS`` changed last
    :ivar revisions: all that it had, in order
    :ivar deleted: since when it is deleted, or None
    """

    row: dict
    since: float
    revisions: list
    deleted: float | None = None


class Rows:
    """Compares each commit with the one before, and with the guests.

    :ivar purged: the rows that are gone, as they were
    """

    def __init__(self, clock, judge, powers):
        """:param powers: returns the power states that the guest of a uuid
            has on the machines of a host
        """
        self._clock, self._judge, self._powers = clock, judge, powers
        self._known, self.purged = {}, []
        # {(uuid, power state): when a guest had it last}
        self._had = {}
        # {claim id: the vm_state with which it was settled, or has to be}
        self._results = {}
        # {uuid: (machine, claim id)} of the last act; the claims that were
        # granted on rows that lacked it
        self._acted, self._lacking = {}, set()

    def had(self, uuid, power):
        """Note that a guest had this power state until now."""
        self._had[uuid, power] = self._clock()

    def committed(self, rows):
        """Judge what a commit has left; ``rows`` are those of ``QUERY``."""
        for row in rows:
            if row['claim_id']:
                self._judge.claimed(row['claim_id'])
            known = self._known.get(row['uuid'])
            if known is None:
                known = self._known[row['uuid']] = Known(
                    row, self._clock(), [])
            elif not self._judge.losses:
                self._ensure_so(known, row)
                self._ensure_ended_by_its_service(known.row, row)
            self._note_claim(known.row, row)
            if any(known.row[name] != row[name] for name in FACTS):
                known.since = self._clock()
            if row['revision'] not in known.revisions[-1:]:
                known.revisions.append(row['revision'])
            if not row['deleted']:
                known.deleted = None
            elif known.deleted is None:
                known.deleted = self._clock()
            known.row = row
        for uuid in self._known.keys() - {row['uuid'] for row in rows}:
            self._ensure_unneeded(self._known.pop(uuid).row)

    def _ensure_unneeded(self, row):
        """A row that goes is of an instance that nobody needs any more."""
        self.purged.append(row)
        self._judge.looks['row purged'] += 1
        if not self._judge.losses and (
                row['claim_id'] or row['guest_left'] or
                not (row['deleted'] and row['cleaned'])):
            self._judge.fail('needed', f'{row["uuid"][:4]} is purged: {row}')

    def acts(self, act):
        """A guest is changed: not if its row lacks the act before."""
        machine, _ = act.host
        self._ensure_due(act)
        if act.claim_id in self._lacking and (
                self._acted.get(act.uuid, act.host)[0] == machine):
            self._judge.fail('regressed', f'{act.what} of {act.uuid[:4]} '
                             f'under {act.operation}')
        self._acted[act.uuid] = machine, act.claim_id
        self._results.setdefault(
            act.claim_id, states.SOFT_DELETED
            if (act.op, act.what) == ('soft_delete', 'power_off')
            else AFTER.get(act.what, states.ACTIVE))

    def _ensure_due(self, act):
        """Files are removed again each time after twice the time."""
        known = self._known.get(act.uuid)
        if act.operation != '_run_pending_deletes' or known is None or (
                known.deleted is None or self._judge.losses):
            return
        self._judge.looks['files removed'] += 1
        if self._clock() < known.deleted - 3 + wishes.RETRY * (
                2 ** known.row['clean_attempts'] - 1):
            self._judge.fail('too-soon', f'{act.uuid[:4]} is cleaned')

    def decides(self, uuid):
        """An operator decides what is right of an instance."""
        self._acted.pop(uuid, None)

    def forgets(self, machine):
        """A machine has lost its state."""
        self._acted = {uuid: found for uuid, found in self._acted.items()
                       if found[0] != machine}

    def lost(self, rows):
        """The database went back, and has these rows now."""
        for row in rows:
            if row['uuid'] in self._known:
                self._known[row['uuid']].row = row

    def _note_claim(self, before, row):
        """Note whether a claim is granted on a row that is regressed."""
        former, now, settled = (before['claim_id'], row['claim_id'],
                                row['settled_claim_id'])
        if settled != before['settled_claim_id']:
            self._results[settled] = row['vm_state']
        machine, last = self._acted.get(row['uuid'], (None, None))
        if former == last and now != last and settled != last:
            # It was taken over, or released as if nothing had been done.
            self._acted[row['uuid']] = machine, now
        elif now and now != former and self._judge.losses and (
                last not in (None, settled) and
                self._results.get(last) != row['vm_state'] and
                self._differs(row)):
            self._lacking.add(now)

    def _differs(self, row):
        runs = row['vm_state'] in (states.ACTIVE, states.PAUSED)
        return runs not in [power in states.ON for power
                            in self._powers(row['host'], row['uuid'])]

    def _ensure_so(self, known, row):
        """What is recorded was so after the row was written before."""
        power, uuid = row['power_state'], row['uuid']
        if power == known.row['power_state']:
            return
        self._judge.looks['power state recorded'] += 1
        if row['claim_id'] and row['claim_id'] == known.row['claim_id']:
            self._judge.fail('record', f'{uuid[:4]} is recorded during a '
                             'claim, whose act changes its guest')
        elif (power not in self._powers(row['host'], uuid) and
                self._had.get((uuid, power), -1.0) < known.since):
            self._judge.fail('record', f'{uuid[:4]} is recorded as '
                             f'{states.power_name(power)}')

    def _ensure_ended_by_its_service(self, before, row):
        """What has lost a host does not end the claims that it had there."""
        owner = (before['claim_owner'] or ':').partition(':')[0]
        if before['claim_id'] and not row['claim_id'] and (
                row['service_id'] != owner):
            self._judge.fail('ended-by-former', f'a claim on '
                             f'{row["uuid"][:4]}, of {before["claim_owner"]}')

    def saved(self, uuid, before, after):
        """A user has changed what it read at the revision ``before``."""
        known = self._known.get(uuid)
        self._judge.looks['save'] += 1
        if known is None:
            return      # it was purged or lost before the answer came
        revisions = known.revisions
        if not self._judge.losses and after in revisions and (
                revisions[revisions.index(after) - 1] != before):
            self._judge.fail('overwritten', f'{uuid[:4]} was read at '
                             f'{before}, and {after} follows a later one')
