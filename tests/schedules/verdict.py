"""What must hold after a time of calm: I5, I6, I8, and the rest of I7."""

import collections
import datetime
import os

from computed import states
from tests.schedules import synced
from tests.schedules import wishes

# The vm_states in which a guest is on.
RUNS = (states.ACTIVE, states.PAUSED)
# These say nothing about the guest.
OPEN = (states.ERROR, states.BUILDING)
# Seconds after which the task that deletes for good has begun.
LATEST = 15


def problems(cell):
    """Yield ``(kind, text)``: what does not hold, or not yet."""
    rows = {row['uuid']: row for row in cell.cluster.primary.rows(
        'SELECT * FROM instances')}
    serving = {machine.host: machine for machine in cell.machines
               if machine.alive and machine.ready}
    yield from _claims(rows, serving, cell.cluster.primary.rows(
        'SELECT uuid FROM guest_claims'))
    yield from _log(cell, {row['claim_id'] for row in rows.values()})
    yield from _builds(rows, cell.cluster.primary.rows(
        "SELECT uuid FROM events WHERE operation = 'interrupt' AND "
        "state_after = 'error'"))
    if cell.consumers is not None:
        yield from cell.consumers.problems(serving)
        yield from cell.tokens.problems(serving)
        yield from synced.problems(cell.network, rows, serving)
    yield from _deleted(cell, rows, serving)
    yield from _files(cell, rows, serving)
    yield from _lives(cell.machines, cell.judge.moved)
    machines = collections.Counter(machine.host for machine in cell.machines)
    if cell.storage is not None:
        yield from cell.storage.problems([
            machine for machine in serving.values()
            if machines[machine.host] == 1])
    for guest in cell.judge.guests.values():
        row = rows.get(guest.uuid)
        # If another machine has the host now, the guest is not there.
        if serving.get(guest.machine.host) is guest.machine and not (
                row and _is_for_operators(row, serving)):
            yield from _guest(guest, row, bool(cell.judge.losses),
                              _may_hold(cell, guest.machine))
            if not cell.judge.losses and machines[guest.machine.host] == 1:
                yield from _requests(guest, row)
    for machine in cell.machines:
        yield from _machine(machine, _may_hold(cell, machine))
    for process in cell.processes:
        for name, error in process.failures:
            yield 'uncaught', (f'{process} {name}: '
                               f'{type(error).__name__}: {error}')


def _claims(rows, serving, guest_claims):
    """No claim is left."""
    for row in rows.values():
        if _is_for_operators(row, serving):
            continue
        if row['claim_id']:
            yield 'claim-left', (f'{row["uuid"][:4]} {row["task_state"]} '
                                 f'{row["claim_owner"]}')
        elif row['task_state']:
            yield 'task-state-left', f'{row["uuid"][:4]} {row["task_state"]}'
    for row in guest_claims:
        yield 'guest-claim-left', row['uuid'][:4]


def _log(cell, held):
    """The action log has each act, and its end.

    :param held: the ids of the claims that are held now
    """
    events = {event['claim_id']: event for event in cell.cluster.primary.rows(
        'SELECT claim_id, operation, result FROM events')}
    for claim_id, event in events.items():
        if event['result'] is None and claim_id not in held:
            yield 'act-goes-on', f'{event["operation"]} under {claim_id}'
    if not cell.judge.losses:
        for claim_id in cell.judge.acted_under - events.keys():
            yield 'act-not-logged', claim_id


def _deleted(cell, rows, serving):
    """What can be restored no longer is gone.

    The task needs some more seconds, and a claim of a former service may be
    in its way.
    """
    over = cell.judge.now() - wishes.KEPT - LATEST
    for guest in cell.judge.guests.values():
        row = rows.get(guest.uuid)
        if not cell.judge.losses and row and (
                row['vm_state'] == states.SOFT_DELETED and
                guest.wishes == {wishes.DELETED} and
                guest.deleted_at < over and
                serving.get(row['host']) is guest.machine and
                not _may_hold(cell, guest.machine) and
                not _is_for_operators(row, serving)):
            yield 'not-reclaimed', str(guest)


def _files(cell, rows, serving):
    """No files are left of what was deleted long ago."""
    if cell.judge.losses or cell.judge.jumped or cell.judge.forgetful:
        return
    server = cell.cluster.primary
    for machine in serving.values():
        for uuid in sorted(machine.guests.files):
            row = rows.get(uuid)
            if row and row['deleted'] and not row['clean_failed'] and (
                    serving.get(row['host']) is machine) and (
                    not _is_for_operators(row, serving)) and (
                    server.wall() > _second(row['terminated_at']) + 40 +
                    wishes.RETRY * (2 ** row['clean_attempts'] - 1)):
                yield 'files-left', f'{uuid[:4]} on {machine.name}'


def _second(text):
    """Return a time of the database in seconds since 1970."""
    return datetime.datetime.fromisoformat(f'{text}+00:00').timestamp()


def _builds(rows, interrupted):
    """What was told to end because it took too long is not there."""
    for event in interrupted:
        row = rows.get(event['uuid'])
        if row and row['launched_at'] is not None:
            yield 'not-undone', f'build of {row["uuid"][:4]}'


def _is_for_operators(row, serving):
    """Return whether a former service claims a guest that is not here.

    It may run on the machine of that service. Nobody can know, and ``claim
    release`` is for an operator who does.
    """
    machine, owner = serving.get(row['host']), row['claim_owner']
    return (row['claim_id'] is not None and machine is not None and
            row['uuid'] not in machine.guests.infos and
            not owner.startswith(machine.service.claims.service_id))


def _lives(machines, moved):
    """No guest runs on two machines, no two services have one host.

    If a host was silent, and another machine was taken for it, nobody can
    know whether its guests run on there.
    """
    runs, ready = {}, {}
    for machine in machines:
        if machine.alive and machine.ready:
            ready.setdefault(machine.host, []).append(machine.name)
        for uuid, info in machine.guests.infos.items():
            if info.power_state in states.ON and machine.host not in moved:
                runs.setdefault(uuid, []).append(machine.name)
    for kind, all_of in (('runs-twice', runs), ('two-services', ready)):
        for name, where in all_of.items():
            if len(where) > 1:
                yield kind, f'{name[:4]} on {where}'


def _may_hold(cell, machine):
    """Return whether it is right that an instance waits for an operator.

    A copy that takes its host over knows only what had been done when it was
    made. In another incarnation, nobody can tell that from a loss.
    """
    return bool(cell.judge.losses) or machine in cell.judge.forgetful or (
        machine.may_be_down and cell.clocks.has_moved())


def _guest(guest, row, lossy, may_hold):
    """A guest, its row, and what its user was told agree."""
    info = guest.machine.guests.infos.get(guest.uuid)
    power = info.power_state if info else states.NOSTATE
    if row is None:
        # One that was deleted may be purged.
        if not lossy and guest.born == wishes.ACCEPTED and (
                not {wishes.GONE, wishes.DELETED} & guest.wishes):
            yield 'row-lost', str(guest)
        return
    if guest.born == wishes.REFUSED and not lossy:
        yield 'refused-but-done', f'create of {guest}'
    held = guest.uuid in guest.machine.service.claims.settled.held()
    if held and guest.decided:
        yield 'still-held', f'an operator has decided about {guest}'
    if lossy and (info is None or row['deleted']) or may_hold and held:
        return      # what is lost is lost; nobody may act on it
    on, state = power in states.ON, row['vm_state']
    if on and state == states.ERROR and row['launched_at'] is None:
        yield 'runs-in-error', f'{guest} runs, and its build has failed'
    if state not in OPEN:
        agree = (info is None if state == states.DELETED
                 else on == (state in RUNS))
        # Nobody ends a guest that was started by hand after its delete.
        if state == states.SOFT_DELETED:
            agree = not on or wishes.ON in guest.wishes
        if not agree:
            yield 'disagree', (f'{guest} is {state}, its guest is '
                               f'{states.power_name(power)}')
        elif row['power_state'] != power:
            yield 'power-state', (f'{guest}: {row["power_state"]} is '
                                  f'recorded, the guest has {power}')
    is_ = wishes.state_of(info)
    if not (lossy or row['fault'] or state == states.ERROR or
            guest.born != wishes.ACCEPTED or
            any(wishes.fits(wish, is_) for wish in guest.wishes)):
        yield 'lost-request', (f'{guest} is {is_}, its user was told '
                               f'{sorted(guest.wishes)}')


def _requests(guest, row):
    """What was accepted is done."""
    accepted = sum(one.outcome == wishes.ACCEPTED and not one.forgotten
                   for one in guest.requests)
    done = sum(one.done for one in guest.requests)
    if done < accepted and row and not row['fault'] and (
            row['vm_state'] not in OPEN):
        yield 'not-done', (f'{done} of {accepted} requests that were '
                           f'accepted for {guest}')


def _machine(machine, may_hold):
    """A daemon is up, has ended its work, and its tasks run."""
    if not machine.alive or not machine.ready:
        if not machine.may_be_down:
            yield 'host-down', machine.name
        return
    service = machine.service
    entries = [name for name in sorted(os.listdir(
        os.path.join(machine.state_path, 'claims'))) if name[-5:] == '.json']
    held = service.claims.settled.held()
    digest = service.runner.digest()
    for kind, found in (
            ('journal-left', entries), ('in-hand', service.claims.in_hand),
            ('held', () if may_hold else sorted(held)),
            ('task', digest['overdue'] or digest['failing'])):
        if found:
            yield kind, f'{machine.name}: {found}'
