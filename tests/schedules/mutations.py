"""Guards of the product, removed one at a time: is it noticed, and how soon?

``python -m tests.schedules.mutations`` tries all of them, each in the profile
that aims at it, and in the scenarios of :mod:`.former` that name it. A guard
whose loss no schedule shows is a second line: ``also`` names the first one.
"""

import argparse
import dataclasses
import sys

from tests.schedules import changed
from tests.schedules import former
from tests.schedules import start


@dataclasses.dataclass(frozen=True)
class Mutation:
    """A change of the source that removes a guard.

    :ivar was: text that stands exactly once in ``file``
    :ivar profile: the swarm that must notice it
    :ivar also: the name of another mutation that is applied too, because
        that guard covers this one. What is named there is applied, too
    """

    file: str
    was: str
    becomes: str
    profile: str
    also: str | None = None


ALL = {
    # claims
    'a claim is granted while there is another': Mutation(
        'db/cell/claims/claim.py',
        'return [prepared.equals(kind.model.claim_id, None),\n'
        '            *(', 'return [*(', 'ghosts',
        also='a claim is granted once more'),
    'a claim rests on no state': Mutation(
        'db/cell/claims/claim.py', 'for name, value in facts.items())]',
        "for name, value in facts.items() if name != 'vm_state')]",
        'records'),
    'a claim rests on no task_state': Mutation(
        'db/cell/claims/claim.py', 'for name, value in facts.items())]',
        "for name, value in facts.items() if name != 'task_state')]",
        'echoes', also='a claim is granted while there is another'),
    'a claim is settled by anybody': Mutation(
        'db/cell/claims/claim.py',
        'held = [prepared.equals(model.claim_id, claim_id),\n'
        '                fence.stands(owner, new)]',
        'held = [fence.stands(owner, new)]', 'ends'),
    'a claim is granted once more': Mutation(
        'db/cell/history/events.py', 'sa.insert(_EVENT).values(began_at=_NOW)',
        "sa.insert(_EVENT).prefix_with('OR REPLACE').values(began_at=_NOW)",
        'told'),
    'a run that was replaced settles claims': Mutation(
        'db/cell/claims/claim.py',
        'held = [prepared.equals(model.claim_id, claim_id),\n'
        '                fence.stands(owner, new)]',
        'held = [prepared.equals(model.claim_id, claim_id)]', 'copies'),
    'a repeated grant is not found': Mutation(
        'db/cell/claims/claim.py',
        '        if rows is None:\n            raise\n', '        raise\n',
        'ends', also='claims that were given up stay'),
    'a repeated settlement is not found': Mutation(
        'db/cell/claims/claim.py', 'if None in settled:', 'if False:',
        'ends'),
    'no lock of an instance': Mutation(
        'claims/locks.py', 'return lock if free else None',
        'return lock if free else threading.Semaphore(0)', 'records',
        also='a claim is granted while there is another'),
    # journal and recovery
    'the begin of a claim is not journaled': Mutation(
        'claims/claims.py', '            self.journal.write(entry)\n'
        '        except OSError as error:\n            raise',
        '            pass\n        except OSError as error:\n'
        '            raise', 'gaps'),
    'the end of a claim is not journaled': Mutation(
        'claims/claims.py', '            self.journal.write(entry)\n'
        '        except OSError as error:\n            self.unwritten',
        '            pass\n        except OSError as error:\n'
        '            self.unwritten', 'ends'),
    'heartbeats do not replay ends': Mutation(
        'service/heartbeat.py', 'recovery.replay(self._claims, '
        'context.new())', 'pass', 'ends'),
    'claims that were given up stay': Mutation(
        'claims/recovery.py', 'for instance in _ours(asker, instances, '
        'journaled | asker.in_hand):', 'for instance in ():', 'ghosts'),
    'a start does not finish what was begun': Mutation(
        'claims/recovery.py', 'return _ours(asker, instances, but_for=(',
        'return [] and _ours(asker, instances, but_for=(', 'gaps'),
    'a claim that nobody remembers is finished': Mutation(
        'operations/recover.py',
        'if recovery.is_journaled(manager.claims, instance):', 'if True:',
        'former-restore-crash'),
    'a build that was interrupted is forgotten': Mutation(
        'operations/recover.py',
        '    if claim.instance.vm_state != states.ERROR:\n', '    if False:\n',
        'former-killed-build'),
    'claims of a former service stay': Mutation(
        'operations/recover.py',
        'recovery.release_former(\n'
        '            manager.claims, context, instances,\n'
        '            functools.partial(_guests, manager), _done)',
        '[]', 'former-former-service'),
    'what a former service has done is undone': Mutation(
        'operations/recover.py', 'if guest.power_state in power_states else',
        'if False else', 'former-undone'),
    'what runs and nobody remembers is ended': Mutation(
        'operations/recover.py', 'settled.hold_unknown(row)', 'pass',
        'former-forgotten'),
    'what an operator has decided stays held': Mutation(
        'operations/reconcile.py',
        'settled.accept(row, row.origin and row.origin.incarnation)', 'pass',
        'decisions'),
    'a record that is made right says that nothing runs': Mutation(
        'operations/reconcile.py', 'if info.power_state in states.ON:',
        'if False:', 'decisions'),
    # volumes
    'a row of usage replaces any older one': Mutation(
        'db/engine/upsert.py',
        '        return (mine[guard] > there[guard] if base is None\n'
        '                else mine[base] == there[guard])\n',
        '        return mine[guard] > there[guard]\n', 'volumes'),
    'all that a counter shows is new': Mutation(
        'usage/increments.py', '    return tuple(new - old for new, old in '
        'zip(\n        taken.values, last.values, strict=True))\n',
        '    return taken.values\n', 'volumes'),
    'an attachment ends before its guest has lost it': Mutation(
        'operations/volumes.py', '    # An absent guest has nothing',
        '    _record(manager, claim, volume_id, None)\n'
        '    # An absent guest has nothing', 'volumes'),
    'an instance that is deleted keeps its volumes': Mutation(
        'db/cell/claims/claim.py',
        '                attachments.end_all(context, found.uuid)\n',
        '                pass\n', 'volumes'),
    # the action log
    'an act is not logged': Mutation(
        'db/cell/history/events.py', '    if found:\n', '    if not found:\n',
        'short'),
    'the end of an act is not logged': Mutation(
        'db/cell/claims/claim.py',
        "        if found is not None and row['kind'] == INSTANCE:\n",
        '        if False:\n', 'short'),
    # notifications
    'the end of an act is not told': Mutation(
        'db/cell/history/events.py',
        '    notices.announce_end(context, claim_id, uuid)\n', '', 'told'),
    'what could not be sent is forgotten': Mutation(
        'notifications/outbox.py',
        '                wait = min(2 * wait, LONGEST)\n'
        '                continue\n', '', 'told'),
    'what is told has a new key each time': Mutation(
        'db/cell/history/notices.py',
        "Notice(key or ':'.join((values['claim_id'], str(values['uuid']),",
        "Notice(key or ':'.join((str(id(values)), str(values['uuid']),",
        'told'),
    'it is told before the commit': Mutation(
        'db/cell/history/notices.py',
        'context.db_scope.afterwards.append(\n'
        '            functools.partial(cell.announce, what))',
        'cell.announce(what)', 'told'),
    # audits of usage
    'what the broker may not have counts as reported': Mutation(
        'notifications/outbox.py',
        'return [one.sent if one is not None else False for one in letters]',
        'return [one is not None for one in letters]', 'audits'),
    'an audit ends before its last part': Mutation(
        'objects/usage_audit.py', 'last, rows = len(rows) <= AT_ONCE,',
        'last, rows = True,', 'audits'),
    'the last start is taken for the first': Mutation(
        'db/cell/audits.py',
        'sa.func.coalesce(row.first_launched_at, row.launched_at)',
        'row.launched_at', 'audits'),
    'what is used is told before the commit': Mutation(
        'db/cell/storage/usage.py', 'notices.tell(context, notices.Fact(',
        'cell.announce(notices.Fact(', 'audits'),
    # console tokens
    'a token never expires': Mutation(
        'db/cell/console_tokens.py',
        '        _TOKEN.token_hash == token_hash,\n'
        '        _TOKEN.expires > _NOW)',
        '        _TOKEN.token_hash == token_hash)', 'consoles'),
    'tokens go before they expire': Mutation(
        'db/cell/console_tokens.py',
        '_TOKEN.host == host, _TOKEN.expires <= _NOW)',
        '_TOKEN.host == host)', 'consoles'),
    'tokens outlive their instance': Mutation(
        'db/cell/claims/claim.py', '            if found.deleted:\n',
        '            if False:\n', 'consoles'),
    # what hosts tell of their instances
    'another list is taken for the known one': Mutation(
        'conductor/host_instances.py',
        'if found is None or (len(found.uuids), found.digest) != (\n'
        '                        count, digest):', 'if found is None:',
        'told'),
    'the whole list is not told': Mutation(
        'tasks/scheduler_info.py',
        '    conductor.sync_instance_info(context, *told, uuids)\n', '',
        'told'),
    # rows
    'a repeated create is refused': Mutation(
        'db/cell/instance.py', '        return _inserted(context, values) or '
        '_create(context, values, admit)', '        raise',
        'former-create-twice'),
    'an object overwrites a newer row': Mutation(
        'db/cell/instance.py',
        '            prepared.equals(models.Instance.revision, '
        'expected_revision),\n', '', 'records'),
    'a power state is recorded during a claim': Mutation(
        'db/cell/instance.py',
        'row.power_state == old, row.task_state.is_(None),\n'
        '                       row.claim_id.is_(None), ',
        'row.power_state == old, ', 'long-records'),
    'a power state is recorded whatever the row says': Mutation(
        'db/cell/instance.py',
        'row.host == host, _live(), row.vm_state == vm_state,\n'
        '                       row.power_state == old, ', '', 'old-records'),
    # reads
    'a strict read may go to a replica': Mutation(
        'db/routing/router.py', 'if context.lag_tolerant:\n'
        '                return self._tolerant',
        'if True:\n                return self._tolerant', 'replicas'),
    'an old answer is not refused': Mutation(
        'db/routing/answers.py', 'if age > need.bound:', 'if False:',
        'replicas'),
    'age counts from a heartbeat that was not seen': Mutation(
        'db/routing/lag.py',
        'sent = None if seen is None else self._sent.get(seen)',
        'sent = self._sent.get((seen or 0) + 1, now)', 'replicas'),
    'a heartbeat counts from when it was written': Mutation(
        'db/routing/monitor.py', '        now = self.router.clock()\n'
        '        lag.compare(',
        '        now = self.router.clock()\n'
        '        self.router.heartbeats._sent[number] = now\n'
        '        lag.compare(', 'replicas'),
    'tokens are not carried': Mutation(
        'db/routing/router.py', '            context.tokens.advance(\n'
        '                self.incarnation.database_id, number, host, '
        'revision)', '            pass', 'replicas'),
    'tokens are not compared': Mutation(
        'db/routing/answers.py', 'if not computed_context.reached('
        'scope.revisions, need.revisions):', 'if False:', 'replicas'),
    'an answer of another server counts': Mutation(
        'db/routing/answers.py', 'if scope.identity != server:',
        'if False:', 'losses',
        also='the server of a connection is not compared'),
    'every read after a host is exact': Mutation(
        'db/routing/exact.py', 'began if read.covered else None)', 'began)',
        'former-exact-read'),
    # which server is the primary
    'another database is not noticed': Mutation(
        'db/routing/transaction.py',
        "if context.db_scope.node.database_id() not in ('', found):",
        'if False:', 'former-wrong-database'),
    'a demoted primary answers': Mutation(
        'db/engine/primary_check.py',
        'if tuple(answer) == (server, True):', 'if True:',
        'former-demoted-primary'),
    'the server of a connection is not compared': Mutation(
        'db/routing/transaction.py',
        'if node.identity not in (None, scope.identity):', 'if False:',
        'losses'),
    'a failover begins no incarnation': Mutation(
        'db/routing/incarnation.py',
        'if number is None or former not in (None, lineage):',
        'if number is None:', 'losses'),
    # what the database has lost
    'a regressed row is not noticed': Mutation(
        'claims/settled.py',
        '            return {row.uuid: row.vm_state for row in rows\n',
        '            return {} and {row.uuid: row.vm_state for row in rows\n',
        'former-restore', also='what a host remembers is not compared'),
    'a clock that went back is not noticed': Mutation(
        'db/cell/cell_clock.py', '        now.seconds < counts.get('
        'incarnation, 0))', '        now.seconds < 0)',
        'former-restore-unsaid'),
    'an incarnation that is over may go on': Mutation(
        'db/witness.py', '            self._seen.update(dict.fromkeys(',
        '            dict(dict.fromkeys(', 'losses'),
    'what a host remembers is not compared': Mutation(
        'db/cell/claims/remembered.py', 'return [prepared.Part(_has(',
        'return [] and [prepared.Part(_has(',
        'losses', also='a regressed row is judged'),
    'a regressed row is judged': Mutation(
        'claims/settled.py',
        'return one is not None and (one.held or self.is_doubtful(row))',
        'return False', 'losses',
        also='what a host remembers is not compared'),
    # hosts and requests
    'the clock of the database tells who is silent': Mutation(
        'db/cell/host.py', '(former, life, cell_clock.read(context))',
        """(former, life, dataclasses.replace(
            cell_clock.read(context), listened=former.heard_listened + int((
                context.connection.scalar(sa.select(dialects.utcnow())) -
                former.last_seen).total_seconds())))""",
        'former-database-clock'),
    'a late request is carried out': Mutation(
        'rpc/dispatch.py', "if getattr(method, 'needs_ticket', False):",
        'if False:', 'former-late', also='a late grant counts'),
    'a late grant counts': Mutation(
        'claims/claims.py', 'if context.wanted_until is not None and (',
        'if False and (', 'lateness'),
    'a request to a host has no ticket': Mutation(
        'rpc/hostapi.py', "self._call(context, host, 'get_ticket',\n"
        '                                    timeout=time_left(last))',
        "{'issued': 0.0}", 'former-asleep',
        also='a late request is carried out'),
    'a host may be taken at once': Mutation(
        'db/cell/succession.py',
        'return max(0.0, down_after - silent)', 'return 0.0', 'copies'),
    'a copy of a disk is the same run': Mutation(
        'db/cell/succession.py', '(later.host_boot_id, later.place) ==',
        'later.service_id == former.service_id or (False, False) ==',
        'former-clone'),
    # deletes
    'what was restored is deleted for good': Mutation(
        'tasks/reclaim.py', "        return {'vm_state': "
        "states.SOFT_DELETED, 'task_state': None,\n",
        '        return {}\n        return {', 'late-restores',
        also='a claimed row is not judged again'),
    'a claimed row is not judged again': Mutation(
        'repair/item.py', 'policy.judge(manager, claim.instance, guest)',
        'policy.judge(manager, row, guest)', 'late-restores',
        also='what was restored is deleted for good'),
    'what can be restored is deleted at once': Mutation(
        'tasks/reclaim.py', "'delete' if self.is_due(manager, row) else None",
        "'delete' if row.deleted_at is not None else None", 'restores',
        also='a clock that is set makes a state look older'),
    'a clock that is set makes a state look older': Mutation(
        'db/cell/transitions.py', 'cell_clock.seconds() - prepared.value(',
        '1000000 + cell_clock.seconds() - prepared.value(', 'jumps'),
    'a soft delete leaves the guest on': Mutation(
        'operations/soft_delete.py', 'seen = power.STOP.act(manager, claim)',
        'seen = operation.observed(manager, claim.uuid)', 'short'),
    'a restore leaves the guest off': Mutation(
        'operations/soft_delete.py',
        '{**power.START.act(manager, claim), ',
        "{**operation.observed(manager, claim.uuid), 'vm_state': 'active', ",
        'restores'),
    'files that stayed are not removed': Mutation(
        'tasks/pending_deletes.py', 'due = guest is policy.ABSENT and',
        'due = False and', 'files'),
    'each pass removes what stayed': Mutation(
        'tasks/pending_deletes.py',
        'interval * (2 ** attempts - 1)', '0', 'files'),
    'guests of deleted instances stay': Mutation(
        'tasks/running_deleted.py', 'return policy.Verdict(repair=action)',
        'return policy.Verdict()', 'returns'),
    'guests of live instances go with them': Mutation(
        'tasks/running_deleted.py', "{'deleted': True, 'task_state'",
        "{'deleted': row.deleted, 'task_state'", 'returns',
        also='every instance counts as deleted'),
    'every instance counts as deleted': Mutation(
        'tasks/running_deleted.py',
        'return bool(row.deleted and row.deleted_at is not None and\n'
        '                overdue.age(row.deleted_at, now) >= timeout)',
        'return True', 'returns',
        also='guests of live instances go with them'),
    'what is to be reported is purged': Mutation(
        'db/cell/purge.py', 'sa.or_(limits.reported < _END, running, sa.and_('
        '\n            limits.made_up < _END, newest < _END))',
        'sa.false()', 'told-purges'),
    'rows with files are purged': Mutation(
        'db/cell/purge.py', 'files = _ROW.cleaned == sa.false()',
        'files = sa.false()', 'purges'),
    # acts that take too long
    'a build that was told to end is done': Mutation(
        'operations/operation.py', 'if reason and operation.undo:',
        'if False:', 'hangs'),
    'any build takes too long': Mutation(
        'repair/overdue.py', 'age(since, now) > timeout', 'now > timeout',
        'hangs',
        also='a clock that is set makes a state look older'),
    # the driver
    'a guest that cannot be looked at is absent': Mutation(
        'repair/item.py', "                {'instance': manager.claims."
        "settled.label(uuid),\n                 'problem': problem})\n"
        "    return None",
        "                {'instance': uuid, 'problem': problem})\n"
        '    return policy_module.ABSENT', 'records'),
}


def apply(name):
    """Remove a guard; call it before our code is imported."""
    changes = []
    while name and ALL[name] not in changes:
        changes.append(ALL[name])
        name = ALL[name].also
    changed.apply(changes)


def _schedules_until_noticed(name, profile, limit):
    """Return after how many schedules it is noticed, and the failures.

    A schedule that is wrong with the guard, too, notices nothing.

    :returns: ``(limit, [])``: it is not
    """
    count = 0
    while count < limit:
        found = start.results(
            '--without', name, '--profile', profile, '--first', str(count),
            '--count', str(limit - count), '--until-wrong')
        count += len(found)
        wrong = found[-1]['wrong']
        if wrong and not start.results(found[-1]['seed'])[0]['wrong']:
            return count, wrong
    return count, []


def main():
    """Try the mutations; return whether one of them survives."""
    parser = argparse.ArgumentParser(
        prog='python -m tests.schedules.mutations')
    parser.add_argument('names', nargs='*', metavar='PART OF A NAME')
    parser.add_argument('--limit', type=int, default=100)
    options = parser.parse_args()
    survivors = 0
    for name, profile in dict.fromkeys([
            *((name, one.profile) for name, one in ALL.items()),
            *((one.mutation, f'former-{scenario}')
              for scenario, one in former.ALL.items())]):
        if options.names and not any(part in f'{name}: {profile}'
                                     for part in options.names):
            continue
        count, wrong = _schedules_until_noticed(name, profile, options.limit)
        survivors += not wrong
        kinds = ', '.join(dict.fromkeys(kind for kind, *_ in wrong))
        print(f'{name}: {profile}: ' + (
            f'{kinds} after {count} schedules' if wrong else
            f'SURVIVES {count} schedules'), flush=True)
    return survivors > 0


if __name__ == '__main__':
    sys.exit(main())
