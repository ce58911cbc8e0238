"""End the claims that a crash, a lost reply or a late grant has left."""

import dataclasses
import typing
from collections import abc

from oslo_log import log as logging

from computed import exception
from computed.claims import claims
from computed.claims import journal
from computed.claims import kinds
from computed.objects import grant as grant_obj
from computed.objects import instance as instance_obj
from computed.virt import claim as virt_claim
from computed.virt import driver as virt_driver

LOG = logging.getLogger(__name__)

# {uuid of an instance: {column: value}}
Values: typing.TypeAlias = abc.Mapping[str, dict[str, typing.Any]]
Guest: typing.TypeAlias = virt_driver.InstanceInfo
Done: typing.TypeAlias = abc.Callable[
    [claims.Row, Guest], dict[str, typing.Any] | None]


def replay(asker: claims.Claims, context: claims.Context) -> set[str]:
    """Tell the primary the ends of claims that it has not acknowledged.

    :returns: the claims that it has acknowledged now
    :raises computed.exception.ComputedError: one of ``claims.UNANSWERED``,
        or WriteConflict. The other ends then wait for the next call: each
        could take as long, and the heartbeat, which calls this, must not be
        late.
    """
    told: set[str] = set()
    for entry in [*asker.journal.entries(), *asker.unwritten.values()]:
        if not entry.ended:
            continue
        try:
            asker.tell(context, entry)
            told.add(entry.claim_id)
        except (exception.WriteConflict, *claims.UNANSWERED):
            raise
        except Exception as error:      # the others must be told too
            LOG.warning('The end of %(operation)s of instance %(instance)s '
                        'cannot be recorded: %(error)s',
                        {'operation': entry.operation,
                         'instance': asker.settled.label(entry.uuid),
                         'error': error})
    return told


def left_behind(asker: claims.Claims,
                instances: abc.Collection[claims.Row],
                ) -> list[claims.Row]:
    """Return one instance for each claim that an earlier run left.

    A journaled claim that is not among them was never granted; its entry is
    dropped. A claim whose end the primary has not taken yet is left to
    :func:`replay`: what was done under it must not be done again.

    :param instances: those of this host, just read from the primary
    """
    granted = {instance.claim_id for instance in instances}
    ended = set()
    for entry in asker.journal.entries():
        if entry.ended:
            # A second line: a start tells the ends first. If one of them is
            # refused, this saves a repetition, which does no harm.
            ended.add(entry.claim_id)
        elif entry.claim_id not in granted | asker.in_hand:
            asker.journal.forget(entry.claim_id)
    return _ours(asker, instances, but_for=(
        asker.in_hand | ended | asker.journal.damaged()))


def is_journaled(asker: claims.Claims, instance: claims.Row) -> bool:
    """Return whether this service remembers the claim on ``instance``.

    It may finish only such a claim. A backup that was restored has claims
    that ended long ago.
    """
    return any(entry.claim_id == instance.claim_id
               for entry in asker.journal.entries())


def let_go(asker: claims.Claims, context: claims.Context,
           instance: claims.Row, done: Values | None = None) -> None:
    """End a claim of this service or of a former one, with all its rows.

    :param done: what to write of instances for which it is done; the others
        are released
    :raises: as :func:`adopt`
    """
    asker.settle_all(context, adopt(
        asker, context, instance, 'release', done or {}), done or {})


def adopt(asker: claims.Claims, context: claims.Context,
          instance: claims.Row, operation: str,
          done: Values | None = None) -> virt_claim.Claim:
    """Take over a claim that an earlier run left, with all its rows.

    :param instance: one of its rows, just read from the primary
    :param done: what the next run writes if this one ends before it settles
        the claim, as :func:`let_go`; None: it finishes what was begun
    :raises computed.exception.ClaimLost: this service does not hold it
    """
    about = next((entry.about for entry in asker.journal.entries()
                  if entry.claim_id == instance.claim_id), None)
    entry = asker.begin(operation, [
        journal.Row(kinds.INSTANCE, instance.uuid, asker.owner.host)
        if done is None else
        dataclasses.replace(kinds.ended(instance, done), revision=None)],
        about)
    try:
        granted = claims.repeated(lambda: grant_obj.Grant.adopt_claim(
            context.tolerating_lag(False), instance.uuid,
            instance.claim_id, instance.claim_owner.partition(':')[0],
            entry.claim_id, asker.claim_owner))
    except BaseException as error:
        # Adopted or not, the claim is found again by its owner.
        asker.ended(entry.claim_id)
        if isinstance(error, exception.ClaimLost):
            # The database went back meanwhile: nobody asks for it any more.
            asker.journal.forget(instance.claim_id)
        raise
    asker.journal.forget(instance.claim_id)
    return asker.granted(context, entry, sorted(
        granted.rows, key=lambda row: row.uuid != instance.uuid))


def release_orphaned(asker: claims.Claims, context: claims.Context,
                     instances: abc.Iterable[claims.Row]) -> None:
    """Release the claims of this service that no thread of it holds.

    The primary may grant a late request after this service gave it up.

    :param instances: those of this host. They may be older than the end of a
        claim, so the primary tells whether it still exists.
    """
    journaled = {entry.claim_id for entry in asker.journal.entries()} | (
        asker.journal.damaged())
    for instance in _ours(asker, instances, journaled | asker.in_hand):
        if asker.settled.is_doubtful(instance):
            continue
        try:
            fresh = instance_obj.Instance.get_by_uuid(
                context.tolerating_lag(False), instance.uuid,
                use_slave=False)
            if fresh.claim_id != instance.claim_id:
                continue
            LOG.warning('Instance %s was claimed by a request that had '
                        'been given up; releasing it.', instance.label)
            let_go(asker, context, instance)
        except (exception.ClaimLost, exception.InstanceNotFound,
                exception.NotJournaled, *claims.NOT_NOW) as error:
            LOG.info('Instance %(instance)s is left to the next pass: '
                     '%(error)s',
                     {'instance': instance.label, 'error': error})


def release_guests(asker: claims.Claims, context: claims.Context) -> None:
    """Release the claims that were left on guests without an instance.

    An earlier run left them, or the primary granted them after this service
    gave up the request. The next pass decides again whether to act on these
    guests.
    """
    held = grant_obj.Grant.get_guest_claims(
        context, asker.service_id, use_slave=False)
    # ``in_hand`` is read only now, and the claims are ended one by one: a
    # request "all but these" may arrive late and end newer claims.
    for claim_id in held.keys() - asker.in_hand:
        grant_obj.Grant.settle_guest_claim(
            context.tolerating_lag(False), claim_id, held[claim_id],
            asker.claim_owner)


def release_former(asker: claims.Claims, context: claims.Context,
                   instances: abc.Iterable[claims.Row],
                   look: abc.Callable[[], abc.Mapping[str, Guest]],
                   done: Done) -> list[claims.Row]:
    """End the claims of services that had this host before.

    Such a service can settle nothing any more. A claim is ended if all its
    guests on this host can be looked at here. The others may still run on
    another machine, and are left to the operator.

    :param instances: those of this host, just read from the primary
    :param look: returns the guests here that are ours; called only if there
        are such claims
    :param done: returns what to write of an instance if its guest shows that
        what was begun is done; else None
    :returns: the instances of this host that were released as if nothing had
        been done, as they were read. Nobody knows how far the act had come.
    """
    released: list[claims.Row] = []
    former: dict[str, list[claims.Row]] = {}
    for instance in instances:
        owner = instance.claim_owner
        if instance.claim_id and owner and not is_ours(asker, owner):
            former.setdefault(instance.claim_id, []).append(instance)
    guests = grant_obj.Grant.get_former_guest_claims(
        context, asker.owner.host, asker.service_id, use_slave=False)
    seen = look() if former or guests else {}
    for rows in former.values():
        if any(row.uuid not in seen or asker.settled.is_doubtful(row)
               for row in rows):
            LOG.warning(
                'Instance %s is claimed by a former service of this host, '
                'and cannot be looked at here. It is left alone.',
                rows[0].label)
            continue
        written = {row.uuid: values for row in rows
                   if (values := done(row, seen[row.uuid]))}
        if _end_former(asker, context, rows[0], written):
            released += [row for row in rows if row.uuid not in written]
    for claim_id, uuid in guests.items():
        if uuid in seen:
            grant_obj.Grant.settle_guest_claim(
                context.tolerating_lag(False), claim_id, uuid,
                asker.claim_owner)
    return released


def _end_former(asker: claims.Claims, context: claims.Context,
                instance: claims.Row, done: Values) -> bool:
    try:
        let_go(asker, context, instance, done)
    except exception.ClaimLost:
        return False    # the service that holds it has another host
    LOG.warning('Instance %(instance)s was claimed by a former service of '
                'this host; %(end)s.', {
                    'instance': instance.label,
                    'end': 'what was begun is done' if done else
                    'the claim is released'})
    return True


def is_ours(asker: claims.Claims, owner: str) -> bool:
    """Return whether the owner of a claim is any run of this service."""
    return owner.startswith(f'{asker.service_id}:')


def _ours(asker: claims.Claims,
          instances: abc.Iterable[claims.Row],
          but_for: abc.Container[str]) -> list[claims.Row]:
    """Return one instance for each claim of this service."""
    ours: dict[str, claims.Row] = {}
    for instance in instances:
        if instance.claim_id not in but_for and is_ours(
                asker, instance.claim_owner or ''):
            ours.setdefault(instance.claim_id, instance)
    return list(ours.values())
