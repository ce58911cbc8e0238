"""Ask the primary for claims, and end them.

The request for a claim is strict, even if the caller's context tolerates lag.
A claim is journaled before it is requested, and ends when it is settled or
released.
"""

import dataclasses
import typing
from collections import abc

from oslo_log import log as logging

from computed import chance
from computed import clock
from computed import context as computed_context
from computed import exception
from computed import metrics
from computed.claims import held
from computed.claims import journal
from computed.claims import kinds
from computed.claims import settled as settled_module
from computed.db import witness
from computed.objects import arguments
from computed.objects import grant as grant_obj
from computed.virt import claim as virt_claim

LOG = logging.getLogger(__name__)

T = typing.TypeVar('T')
Context: typing.TypeAlias = computed_context.RequestContext
# An object such as Instance; its fields become attributes at run time.
Row: typing.TypeAlias = typing.Any

# After these errors it is unknown whether the request was carried out.
UNCERTAIN = (exception.OutcomeUnknown, exception.ConductorUnavailable,
             exception.PrimaryUnavailable)
# After these errors another request would fail too: stop asking for now.
UNANSWERED = (*UNCERTAIN, exception.PrimaryReadOnly,
              exception.WrongDatabase)
# After these errors nothing was done now, and the next pass tries again.
# DatabaseFailed may concern one row only, so others are still asked for. A
# host that an operator has deleted registers again.
NOT_NOW = (*UNANSWERED, exception.DatabaseFailed, exception.WriteConflict,
           exception.Replaced, exception.HostNotFound)
# These errors say that no claim was granted. (PrimaryReadOnly and
# WrongDatabase do not: an earlier try may have been granted.)
DEFINITE = (exception.ClaimLost, exception.InstanceRegressed,
            exception.Frozen, exception.HostNotFound)
# How many times a claim is requested before the service gives up.
TRIES = 3


class Claims:
    """The claims of one host's service.

    :ivar owner: the owner of the guests that the claims allow to change
    :ivar claim_owner: this run of the service, as the database names it
    :ivar registration: whether this run is registered for its host
    :ivar journal: the claims whose end the primary has not acknowledged
    :ivar in_hand: ids of the claims that this run requests or holds
    :ivar acting: those that it holds, by id
    :ivar unwritten: the ends that could not be journaled, by claim id
    :ivar settled: what the primary must have of the instances of this host
    :ivar seen: what this host has seen of the database
    """

    def __init__(self, database_id: str, host: str, service_id: str,
                 boot_id: str, entries: journal.Journal,
                 settled: settled_module.Settled | None = None,
                 seen: witness.Witness | None = None) -> None:
        """:param settled: None: nothing is remembered yet
        :param seen: None: nothing was seen yet
        """
        self.seen = seen or witness.Witness()
        self.owner = virt_claim.Owner(database_id, host)
        self.settled = settled or settled_module.Settled(self.owner)
        self.service_id = service_id
        self.claim_owner = f'{service_id}:{boot_id}'
        self.registration = virt_claim.Registration()
        self.journal = entries
        self.in_hand: set[str] = set()
        self.acting: dict[str, virt_claim.Claim] = {}
        self.unwritten: dict[str, journal.Entry] = {}

    # -- asking

    def claim(self, context: Context, uuid: str, operation: str,
              expected: abc.Mapping[str, object],
              **values: object) -> virt_claim.Claim:
        """Ask the primary for a claim on one instance.

        :param operation: the name of the operation, for people
        :param expected: see :class:`computed.claims.kinds.Wanted`
        :param values: columns to set with the grant (``task_state``)
        :raises: see :meth:`claim_all`
        """
        return self.claim_all(context, operation, [
            kinds.Wanted(kinds.INSTANCE, uuid, expected, values)])

    def claim_all(self, context: Context, operation: str,
                  wanted: abc.Sequence[kinds.Wanted],
                  reconciling: bool = False,
                  about: str | None = None) -> virt_claim.Claim:
        """Ask the primary for a claim on several rows: all of them or none.

        The claim is for acts on the first instance, and ``claim.of(row)`` for
        acts on another of ``claim.rows``. One settlement ends it for all.

        :param wanted: the rows; the first instance is of this host
        :param reconciling: an operator has decided that a row is regressed
        :param about: see :class:`computed.claims.journal.Entry`
        :raises computed.exception.ClaimLost: a fact no longer holds
        :raises computed.exception.InstanceRegressed: an instance is held,
            because its row lacks what this service knows of it
        :raises computed.exception.Frozen: no work may begin on this host
        :raises computed.exception.OutcomeUnknown: no answer; the claim is
            released as soon as the primary answers
        :raises computed.exception.RequestExpired: the caller of the request
            has given it up meanwhile; the claim is released
        :raises computed.exception.NotJournaled: nothing was requested
        :raises computed.exception.StaleFacts: an answer that this request
            rests on was older than its bound
        """
        refuse_stale(context, operation, wanted[0].key)
        rows = [one.request(
            self.owner.host, None if reconciling else self._facts(one))
            for one in wanted]
        entry = self.begin(operation, [
            journal.Row(one.kind, one.key, one.host or self.owner.host)
            for one in wanted], about)
        granted = self.ask(
            entry, entry.with_values({
                one.key: kinds.RELEASED.get(one.kind, {}) for one in wanted}),
            lambda: grant_obj.Grant.grant_claim(
                context.tolerating_lag(False), self.owner.database_id,
                entry.claim_id, self.claim_owner, operation, rows))
        claim = self.granted(context, entry, granted.rows)
        if context.wanted_until is not None and (
                clock.monotonic() > context.wanted_until):
            # It waited here, or this machine stood still.
            self.release(context, claim)
            raise exception.RequestExpired(method=operation)
        return claim

    def _facts(self, wanted: kinds.Wanted) -> arguments.Remembered | None:
        """Return what a row must have for a claim; None: nothing is known.
        """
        facts = (self.settled.facts(wanted.key)
                 if wanted.kind == kinds.INSTANCE else None)
        return facts and {
            **facts, 'seconds': self.seen.of(facts['incarnation'])}

    def claimed(self, context: Context, operation: str,
                wanted: abc.Sequence[kinds.Wanted]) -> held.Held:
        """Hold a claim for the body of a ``with``, which may settle it.

        :raises: as :meth:`claim_all`
        """
        return self.held(context, self.claim_all(context, operation, wanted))

    def held(self, context: Context, claim: virt_claim.Claim) -> held.Held:
        """Hold ``claim``, which was granted, for the body of a ``with``."""
        return held.Held(self, context, claim)

    def granted(self, context: Context, entry: journal.Entry,
                rows: abc.Sequence[Row],
                guest: str | None = None) -> virt_claim.Claim:
        """Return the claim that the primary has granted, and remember it.

        Only :mod:`computed.claims` calls this and the methods below.

        :param guest: the uuid of a guest without an instance
        """
        for row in rows:
            if kinds.of(row) == kinds.INSTANCE:
                self.settled.granted(
                    row, entry.claim_id, self._incarnation(context))
        claim = self.acting[entry.claim_id] = virt_claim.Claim(
            entry.claim_id, entry.operation, rows[0] if rows else None,
            self.owner, guest=guest, about=entry.about, rows=tuple(rows),
            registration=self.registration)
        return claim

    def begin(self, operation: str,
              rows: abc.Sequence[journal.Row],
              about: str | None = None) -> journal.Entry:
        """Journal a claim that is about to be requested.

        :param about: see :class:`computed.claims.journal.Entry`
        :raises computed.exception.NotJournaled: for example, a full disk
        :raises computed.exception.Replaced: another run of the service is
            registered for this host
        """
        if not self.registration.holds:
            raise exception.Replaced(operation=operation)
        entry = journal.Entry(chance.uuid(), operation, tuple(rows), about)
        try:
            self.journal.write(entry)
        except OSError as error:
            raise exception.NotJournaled(
                operation=operation, uuid=entry.uuid,
                reason=error.strerror) from error
        self.in_hand.add(entry.claim_id)
        return entry

    def ask(self, entry: journal.Entry, given_back: journal.Entry,
            request: abc.Callable[[], T]) -> T:
        """Request the claim of ``entry`` from the primary.

        :param given_back: how to end the claim if there is no answer
        """
        try:
            return repeated(request)
        except DEFINITE as error:
            self.ended(entry.claim_id)
            if isinstance(error, exception.InstanceRegressed):
                self.settled.hold({
                    error.kwargs['uuid']: error.kwargs['vm_state']})
            elif not isinstance(error, exception.Frozen):
                metrics.claims_lost.labels(entry.operation).inc()
            raise
        except BaseException:
            # The claim may be granted all the same. Then it must end.
            self._keep_end(given_back)
            self.in_hand.discard(entry.claim_id)
            raise

    def ended(self, claim_id: str) -> None:
        """Forget a claim: the primary has acknowledged its end."""
        self.journal.forget(claim_id)
        self.unwritten.pop(claim_id, None)
        self.in_hand.discard(claim_id)
        self.acting.pop(claim_id, None)

    # -- ending

    def settle(self, context: Context, claim: virt_claim.Claim,
               **values: object) -> Row | None:
        """End a claim and write its result.

        :returns: the fresh instance. None if the primary did not write it (it
            gets the end as soon as it answers) or takes nothing from this
            run, if the claim was no longer held, or if there is no instance
        """
        return self.settle_all(context, claim, {claim.uuid: values})

    def settle_all(self, context: Context, claim: virt_claim.Claim,
                   values: abc.Mapping[str, dict[str, object]],
                   because: str | None = None) -> Row | None:
        """End a claim on several rows and write the result of each.

        :param values: ``{key: columns to write}``; a row that is not named
            is released, see :meth:`release`
        """
        claim.ensure_not_ended()
        claim.end()
        for row in claim.rows:
            if row.uuid not in values:
                self.settled.released(row.uuid, claim.claim_id)
        rows = [kinds.ended(row, values, because) for row in claim.rows]
        if claim.interruption.unknown:
            rows = [dataclasses.replace(row, revision=None) for row in rows]
        entry = journal.Entry(claim.claim_id, claim.operation, tuple(rows) or (
            journal.Row(kinds.GUEST, claim.uuid, self.owner.host, {},
                        acted=claim.uuid in values),))
        self._keep_end(entry)
        try:
            found = self.tell(context, entry)
        except NOT_NOW as error:
            LOG.warning('The end of %(operation)s of instance %(instance)s '
                        'is not recorded yet: %(error)s',
                        {'operation': entry.operation,
                         'instance': claim.label, 'error': error})
            return None
        return next((row for row in found if row.uuid == claim.uuid), None)

    def release(self, context: Context, claim: virt_claim.Claim,
                because: str | None = None) -> Row | None:
        """End a claim under which nothing was done, and log ``because``."""
        return self.settle_all(context, claim, {}, because)

    def tell(self, context: Context, entry: journal.Entry,
             ) -> abc.Sequence[Row]:
        """Tell the primary the end of a claim; return the fresh instances."""
        strict = context.tolerating_lag(False)
        found: abc.Sequence[Row] = ()
        if entry.rows[0].kind == kinds.GUEST:
            grant_obj.Grant.settle_guest_claim(
                strict, entry.claim_id, entry.rows[0].key, self.claim_owner,
                entry.rows[0].acted)
        else:
            found = grant_obj.Grant.settle_claim(
                strict, entry.claim_id,
                [typing.cast(arguments.SettledRow, dataclasses.asdict(row))
                 for row in entry.rows],
                self.claim_owner).rows
            self._remember(context, entry, found)
        self.ended(entry.claim_id)
        return found

    def _remember(self, context: Context, entry: journal.Entry,
                  found: abc.Sequence[Row]) -> None:
        """Remember the results that the primary has of a claim, or lacks."""
        fresh = {row.uuid: row for row in found}
        for row in entry.rows:
            if row.acted:
                self.settled.ended(
                    row.key, entry.claim_id, self._incarnation(context),
                    fresh.get(row.key), (row.values or {}).get('vm_state'))

    def _incarnation(self, context: Context) -> str | None:
        """Return the incarnation of the database that ``context`` wrote to.
        """
        token = context.tokens.of(self.owner.database_id)
        return None if token is None else token.incarnation

    def _keep_end(self, entry: journal.Entry) -> None:
        """Remember the end of a claim until the primary acknowledges it."""
        try:
            self.journal.write(entry)
        except OSError as error:
            self.unwritten[entry.claim_id] = entry
            LOG.error('The end of %(operation)s of instance %(instance)s '
                      'could not be journaled: %(error)s',
                      {'operation': entry.operation,
                       'instance': self.settled.label(entry.uuid),
                       'error': error})


def refuse_stale(context: Context, operation: str, uuid: str) -> None:
    """Refuse a claim if the request has read beyond its staleness bound.

    :raises computed.exception.StaleFacts: one of its reads was too old
    """
    if context.reads.beyond_bound:
        raise exception.StaleFacts(operation=operation, uuid=uuid)


def repeated(request: abc.Callable[[], T]) -> T:
    """Make a request that may be repeated, up to ``TRIES`` times.

    :raises computed.exception.OutcomeUnknown: no try was answered
    """
    for _ in range(TRIES - 1):
        try:
            return request()
        except UNCERTAIN:
            continue
    return request()
