"""The one door to acting on an instance: a claim, granted by the primary.

A claim is asked for in a strict context whatever the caller's is, is
journaled before it is asked for, and ends by being settled or released.
"""

import dataclasses
import datetime
import threading
import uuid as uuid_module

from oslo_log import log as logging

from computed import exception
from computed import metrics
from computed.claims import journal
from computed.objects import grant as grant_obj
from computed.objects import instance as instance_obj
from computed.virt import claim as virt_claim

LOG = logging.getLogger(__name__)

# After these nobody knows whether the request was carried out.
UNCERTAIN = (exception.OutcomeUnknown, exception.ConductorUnavailable,
             exception.PrimaryUnavailable)
# After these it is of no use to ask for leave at once again.
UNANSWERED = (*UNCERTAIN, exception.PrimaryReadOnly)
# These say for certain that nothing was granted.
# (A refusal to write says nothing of an earlier try.)
DEFINITE = (exception.ClaimLost, exception.Frozen,
            exception.WrongDatabase, exception.HostNotFound)
# How often a request for a claim is made before it is given up.
TRIES = 3


@dataclasses.dataclass(frozen=True)
class Wanted:
    """One of the instances to claim.

    :ivar expected: every fact the decision rested on: ``{name: value or
        list of values}``
    :ivar values: columns to set with the grant (``task_state``)
    :ivar host: where it is; None: on this host
    """

    uuid: str
    expected: dict
    values: dict = dataclasses.field(default_factory=dict)
    host: str | None = None


class Listing:
    """A strict list of a host's instances: what is not in it is not there.

    :ivar uuids: of the instances
    """

    def __init__(self, uuids, revision):
        """:param revision: the host's, as it came with the list"""
        self.uuids = frozenset(uuids)
        self.revision = revision
        self.lock = threading.Lock()


class Claims:
    """Claims of one host's service.

    :ivar mark: whose guests they allow to touch
    """

    def __init__(self, database_id, host, service_id, boot_id, entries):
        """``entries`` is the :class:`computed.claims.journal.Journal`."""
        self.owner = virt_claim.Owner(database_id, host)
        self.service_id = service_id
        self.claim_owner = f'{service_id}:{boot_id}'
        self._journal = entries
        # Claims asked for or held by this life of the service.
        self._in_hand = set()
        # Ends for which there was no room on the disk, by claim.
        self._unwritten = {}

    # -- asking

    def claim(self, context, uuid, operation, expected, **values):
        """Ask the primary for leave to act on an instance.

        :param operation: what for, for people
        :param expected: every fact the decision rests on:
            ``{name: value or list of values}``
        :param values: columns to set with the grant (``task_state``)
        :rtype: computed.virt.claim.Claim
        :raises computed.exception.ClaimLost: a fact no longer holds
        :raises computed.exception.Frozen: nothing may be begun on this host
        :raises computed.exception.OutcomeUnknown: no answer; the claim is
            given back as soon as there is one
        :raises computed.exception.NotJournaled: nothing was asked
        :raises computed.exception.StaleFacts: an answer that this request
            rests on was older than its bound
        """
        return self.claim_all(
            context, operation, [Wanted(uuid, expected, values)])

    def claim_all(self, context, operation, wanted):
        """The same, for several instances: all of them or none.

        The claim is to act on the first; ``claim.of(row)`` is to act on
        another of ``claim.rows``. It is settled once, for all of them.

        :param wanted: :class:`Wanted` instances, the first of this host
        """
        refuse_stale(context, operation, wanted[0].uuid)
        rows = [{'kind': 'instance', 'key': one.uuid,
                 'host': one.host or self.owner.host, 'values': one.values,
                 'expected': _plain(one.expected)} for one in wanted]
        entry = self._begin(operation, [
            journal.Row(row['kind'], row['key'], row['host'])
            for row in rows])
        granted = self._ask(
            entry, entry.with_values({
                row['key']: dict.fromkeys(row['values']) for row in rows}),
            lambda: grant_obj.Grant.grant_claim(
                context.tolerating_lag(False), self.owner.database_id,
                entry.claim_id, self.claim_owner, operation, rows))
        return self._granted(entry, granted.instances)

    def listing(self, context):
        """Read this host's instances so that an act may rest on the absence
        of one; see :meth:`claim_absence`.

        :rtype: Listing
        """
        self.release_guests(context)
        found = instance_obj.InstanceList.get_by_host(
            context, self.owner.host, use_slave=False)
        return Listing((instance.uuid for instance in found),
                       found.origin.revision)

    def claim_absence(self, context, listing, uuid, operation):
        """Ask for leave to act on a guest that has no instance.

        On any doubt it is refused, and the guest is to be kept: if any
        instance of this host has changed since the list was read, or the
        guest's is on another host. While it is held, no instance of that
        uuid can be created.

        :rtype: computed.virt.claim.Claim
        :raises: as :meth:`claim`
        """
        refuse_stale(context, operation, uuid)
        if uuid in listing.uuids:
            raise exception.ClaimLost(uuid=uuid, operation=operation)
        entry = self._begin(operation, [
            journal.Row('guest', uuid, self.owner.host)])
        # One after the other: each grant makes the next revision.
        with listing.lock:
            granted = self._ask(
                entry, entry.with_values({uuid: {}}),
                lambda: grant_obj.Grant.grant_guest_claim(
                    context.tolerating_lag(False), self.owner.database_id,
                    entry.claim_id, self.claim_owner, operation, uuid,
                    self.owner.host, listing.revision))
            listing.revision = granted.revision
        return virt_claim.Claim(entry.claim_id, operation, None, self.owner,
                            guest=uuid)

    def adopt(self, context, instance, operation):
        """Take over a claim that an earlier life of this service left, with
        all its rows.

        :param instance: one of them, as just read from the primary
        :rtype: computed.virt.claim.Claim
        :raises computed.exception.ClaimLost: it is not ours to take
        """
        entry = self._begin(operation, [
            journal.Row('instance', instance.uuid, self.owner.host)])
        try:
            granted = repeated(lambda: grant_obj.Grant.adopt_claim(
                context.tolerating_lag(False), instance.uuid,
                instance.claim_id, self.service_id, entry.claim_id,
                self.claim_owner))
        except BaseException:
            # Adopted or not, it is found again by its owner.
            self._end(entry.claim_id)
            raise
        self._journal.forget(instance.claim_id)
        rows = granted.instances
        return self._granted(entry, sorted(
            rows, key=lambda row: row.uuid != instance.uuid))

    def _granted(self, entry, rows):
        return virt_claim.Claim(entry.claim_id, entry.operation, rows[0],
                            self.owner, rows=tuple(rows))

    def _begin(self, operation, rows):
        """Journal a claim about to be asked for; returns its entry."""
        entry = journal.Entry(
            str(uuid_module.uuid4()), operation, tuple(rows))
        try:
            self._journal.write(entry)
        except OSError as error:
            raise exception.NotJournaled(
                operation=operation, uuid=entry.uuid,
                reason=error.strerror) from error
        self._in_hand.add(entry.claim_id)
        return entry

    def _ask(self, entry, given_back, request):
        """Make the request for the claim of ``entry``.

        :param given_back: what to settle it with if nobody answers
        """
        try:
            return repeated(request)
        except DEFINITE as error:
            self._end(entry.claim_id)
            if not isinstance(error, exception.Frozen):
                metrics.claims_lost.labels(entry.operation).inc()
            raise
        except BaseException:
            # If it was granted it must not stay so.
            self._keep_end(given_back)
            self._in_hand.discard(entry.claim_id)
            raise

    def _end(self, claim_id):
        self._journal.forget(claim_id)
        self._unwritten.pop(claim_id, None)
        self._in_hand.discard(claim_id)

    # -- ending

    def _keep_end(self, entry):
        """Remember what to tell the primary until it has been told."""
        try:
            self._journal.write(entry)
        except OSError as error:
            self._unwritten[entry.claim_id] = entry
            LOG.error('The end of %(operation)s of instance %(uuid)s could '
                      'not be journaled: %(error)s',
                      {'operation': entry.operation, 'uuid': entry.uuid,
                       'error': error})

    def settle(self, context, claim, **values):
        """End a claim and write what came of it.

        :returns: the fresh instance; None if the primary did not answer (it
            is told as soon as it does), the claim was no longer held, or
            there is no instance
        """
        return self.settle_all(context, claim, {claim.uuid: values})

    def settle_all(self, context, claim, values):
        """The same, for a claim on several instances.

        :param values: ``{uuid: columns to write}``; who is not named is
            released
        """
        claim.ensure_live()
        claim.end()
        entry = journal.Entry(claim.claim_id, claim.operation, tuple(
            journal.Row('instance', row.uuid, row.host,
                        values.get(row.uuid, {'task_state': None}),
                        row.revision)
            for row in claim.rows) or (
                journal.Row('guest', claim.guest, self.owner.host, {}),))
        self._keep_end(entry)
        try:
            found = self._settle(context, entry)
        except UNANSWERED as error:
            LOG.warning('The end of %(operation)s of instance %(uuid)s is '
                        'not recorded yet: %(error)s',
                        {'operation': entry.operation, 'uuid': entry.uuid,
                         'error': error})
            return None
        return next((row for row in found if row.uuid == claim.uuid), None)

    def release(self, context, claim):
        """End a claim under which nothing was done."""
        return self.settle_all(context, claim, {})

    def _settle(self, context, entry):
        """Tell the primary; returns the fresh instances."""
        strict, found = context.tolerating_lag(False), []
        if entry.rows[0].kind == 'guest':
            grant_obj.Grant.settle_guest_claim(
                strict, entry.claim_id, entry.rows[0].key)
        else:
            found = grant_obj.Grant.settle_claim(
                strict, entry.claim_id,
                [dataclasses.asdict(row) for row in entry.rows]).instances
        self._end(entry.claim_id)
        return found

    def replay(self, context):
        """Tell the primary the ends that it could not be told before.

        :raises computed.exception.ComputedError: one of ``UNANSWERED``, or
            WriteConflict: the rest is not told yet either. Each might wait for
            as long, and who is to be heard of is not to be silent.
        """
        for entry in [*self._journal.entries(),
                      *self._unwritten.values()]:
            if not entry.ended:
                continue
            try:
                self._settle(context, entry)
            except (exception.WriteConflict, *UNANSWERED):
                raise
            except Exception as error:      # the others must be told too
                LOG.warning('The end of %(operation)s of instance %(uuid)s '
                            'cannot be recorded: %(error)s',
                            {'operation': entry.operation,
                             'uuid': entry.uuid, 'error': error})

    # -- finding again

    def left_behind(self, instances):
        """Those of ``instances`` that an earlier life of this service left
        claimed, one for each claim. What is journaled of any other
        unfinished claim is dropped: it was never granted.
        """
        granted = {instance.claim_id for instance in instances}
        for entry in self._journal.entries():
            if not entry.ended and entry.claim_id not in (
                    granted | self._in_hand):
                self._journal.forget(entry.claim_id)
        return self._ours(instances, but_for=self._in_hand)

    def _ours(self, instances, but_for):
        """One instance for each claim of this service."""
        ours = {}
        for instance in instances:
            if instance.claim_id not in but_for and (
                    instance.claim_owner or '').startswith(
                        f'{self.service_id}:'):
                ours.setdefault(instance.claim_id, instance)
        return list(ours.values())

    def release_orphaned(self, context, instances):
        """Release claims of this service that nobody here has in hand.

        A grant may come true after it was given up: its request was late.

        :param instances: of this host; may be old, the release is guarded
        """
        journaled = {entry.claim_id for entry in self._journal.entries()}
        for instance in self._ours(instances, journaled | self._in_hand):
            LOG.warning('Instance %s was claimed by a request that had '
                        'been given up; releasing it.', instance.name)
            try:
                claim = self.adopt(context, instance, 'release')
            except (exception.ClaimLost, exception.NotJournaled,
                    *UNANSWERED) as error:
                LOG.info('Instance %(name)s is left to the next pass: '
                         '%(error)s',
                         {'name': instance.name, 'error': error})
                continue
            self.release(context, claim)

    def release_guests(self, context):
        """End the claims on guests without an instance that an earlier life
        of this service left, or that came after they were given up: whether
        to act is to be decided anew.
        """
        held = grant_obj.Grant.get_guest_claims(
            context, self.service_id, use_slave=False)
        # Looked at only now, and ended one by one: a request that says "all
        # but these" may come late, and end what was begun since.
        for claim_id in held.keys() - self._in_hand:
            grant_obj.Grant.settle_guest_claim(
                context.tolerating_lag(False), claim_id, held[claim_id])


def _plain(expected):
    """Facts as they travel: times as text, in UTC."""
    def plain(value):
        if isinstance(value, datetime.datetime):
            if value.tzinfo is not None:
                value = value.astimezone(datetime.UTC)
            return value.replace(tzinfo=None).isoformat()
        return value
    return {name: plain(value) for name, value in expected.items()}


def refuse_stale(context, operation, uuid):
    """Refuse a request one of whose answers was older than its bound.

    :raises computed.exception.StaleFacts: it is one
    """
    if context.reads.beyond_bound:
        raise exception.StaleFacts(operation=operation, uuid=uuid)


def repeated(request):
    """Make a request that may be repeated, until somebody answers.

    :raises computed.exception.OutcomeUnknown: nobody did
    """
    for attempt in range(1, TRIES + 1):
        try:
            return request()
        except UNCERTAIN:
            if attempt == TRIES:
                raise
    return None
