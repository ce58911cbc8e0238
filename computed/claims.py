"""The one door to acting on an instance: a claim, granted by the primary.

A claim is asked for in a strict context whatever the caller's is, is
journaled before it is asked for, and ends by being settled or released.
"""

import uuid as uuid_module

from oslo_log import log as logging

from computed import exception
from computed import journal
from computed import metrics
from computed import permit
from computed.objects import instance as instance_obj

LOG = logging.getLogger(__name__)

# After these nobody knows whether the request was carried out.
UNCERTAIN = (exception.PerhapsDone, exception.ConductorUnavailable,
             exception.PrimaryUnavailable)
# These say for certain that nothing was granted.
# (A refusal to write says nothing of an earlier try.)
DEFINITE = (exception.ClaimLost, exception.WrongDatabase,
            exception.HostNotFound)
# How often a request for a claim is made before it is given up.
TRIES = 3


class Claims:
    """Claims of one host's service.

    :ivar mark: whose guests they allow to touch
    """

    def __init__(self, database_id, host, service_id, boot_id, entries):
        """``entries`` is the :class:`computed.journal.Journal`."""
        self.mark = permit.Mark(database_id, host)
        self.service_id = service_id
        self.owner = f'{service_id}:{boot_id}'
        self._journal = entries
        # Claims asked for or held by this life of the service.
        self._in_hand = set()

    def claim(self, context, uuid, operation, expected, **values):
        """Ask the primary for leave to act on an instance.

        :param operation: what for, for people
        :param expected: every fact the decision rests on:
            ``{name: value or list of values}``
        :param values: columns to set with the grant (``task_state``)
        :rtype: computed.permit.Claim
        :raises computed.exception.ClaimLost: a fact no longer holds
        :raises computed.exception.PerhapsDone: no answer; the claim is
            given back as soon as there is one
        :raises computed.exception.NotJournaled: nothing was asked
        """
        claim_id = self._begin(uuid, operation)
        try:
            row = repeated(lambda: instance_obj.Instance.grant_claim(
                context.tolerating_lag(False), uuid, self.mark.host,
                self.mark.database_id, claim_id, self.owner, operation,
                expected, values))
        except DEFINITE:
            self._end(claim_id)
            metrics.claims_lost.labels(operation).inc()
            raise
        except BaseException:
            # If it was granted it must not stay so.
            self._journal.write(journal.Entry(
                claim_id, uuid, self.mark.host, operation,
                dict.fromkeys(values)))
            self._in_hand.discard(claim_id)
            raise
        return permit.Claim(claim_id, operation, row, self.mark)

    def adopt(self, context, instance, operation):
        """Take over a claim that an earlier life of this service left.

        :param instance: as just read from the primary
        :rtype: computed.permit.Claim
        :raises computed.exception.ClaimLost: it is not ours to take
        """
        claim_id = self._begin(instance.uuid, operation)
        try:
            row = repeated(lambda: instance_obj.Instance.adopt_claim(
                context.tolerating_lag(False), instance.uuid,
                self.mark.host, instance.claim_id, self.service_id,
                claim_id, self.owner))
        except BaseException:
            # Adopted or not, it is found again by its owner.
            self._end(claim_id)
            raise
        self._journal.forget(instance.claim_id)
        return permit.Claim(claim_id, operation, row, self.mark)

    def _begin(self, uuid, operation):
        """Journal a claim about to be asked for; returns its new id."""
        claim_id = str(uuid_module.uuid4())
        try:
            self._journal.write(journal.Entry(
                claim_id, uuid, self.mark.host, operation))
        except OSError as error:
            raise exception.NotJournaled(
                operation=operation, uuid=uuid,
                reason=error.strerror) from error
        self._in_hand.add(claim_id)
        return claim_id

    def _end(self, claim_id):
        self._journal.forget(claim_id)
        self._in_hand.discard(claim_id)

    def settle(self, context, claim, **values):
        """End a claim and write what came of it.

        :returns: the fresh instance; None if the primary did not answer (it
            is told as soon as it does) or the claim was no longer held
        """
        claim.ensure_live()
        claim.live = False
        entry = journal.Entry(claim.claim_id, claim.uuid, self.mark.host,
                              claim.operation, values)
        try:
            self._journal.write(entry)
        except OSError as error:
            LOG.error('The end of %(operation)s of instance %(uuid)s could '
                      'not be journaled: %(error)s',
                      {'operation': claim.operation, 'uuid': claim.uuid,
                       'error': error})
        return self._settle(context, entry)

    def release(self, context, claim):
        """End a claim under which nothing was done."""
        return self.settle(context, claim, task_state=None)

    def _settle(self, context, entry):
        try:
            row = instance_obj.Instance.settle_claim(
                context.tolerating_lag(False), entry.uuid, entry.host,
                entry.claim_id, entry.values)
        except UNCERTAIN as error:
            LOG.warning('The end of %(operation)s of instance %(uuid)s is '
                        'not recorded yet: %(error)s',
                        {'operation': entry.operation, 'uuid': entry.uuid,
                         'error': error})
            return None
        self._end(entry.claim_id)
        return row

    def left_behind(self, instances):
        """Those of ``instances`` that an earlier life of this service left
        claimed. What is journaled of any other unfinished claim is dropped:
        it was never granted.
        """
        granted = {instance.claim_id for instance in instances}
        for entry in self._journal.entries():
            if entry.values is None and entry.claim_id not in (
                    granted | self._in_hand):
                self._journal.forget(entry.claim_id)
        return [instance for instance in instances
                if self._is_ours(instance) and
                instance.claim_id not in self._in_hand]

    def _is_ours(self, instance):
        return (instance.claim_owner or '').startswith(
            f'{self.service_id}:')

    def reap(self, context, instances):
        """Release claims of this service that nobody here has in hand.

        A grant may come true after it was given up: its request was late.

        :param instances: of this host; may be old, the release is guarded
        """
        journaled = {entry.claim_id for entry in self._journal.entries()}
        for instance in instances:
            if self._is_ours(instance) and instance.claim_id not in (
                    journaled | self._in_hand):
                LOG.warning('Instance %s was claimed by a request that had '
                            'been given up; releasing it.', instance.name)
                self._settle(context, journal.Entry(
                    instance.claim_id, instance.uuid, self.mark.host,
                    'release', {'task_state': None}))

    def replay(self, context):
        """Tell the primary the ends that it could not be told before."""
        for entry in self._journal.entries():
            if entry.values is None:
                continue
            try:
                self._settle(context, entry)
            except Exception as error:      # the others must be told too
                LOG.warning('The end of %(operation)s of instance %(uuid)s '
                            'cannot be recorded: %(error)s',
                            {'operation': entry.operation,
                             'uuid': entry.uuid, 'error': error})


def repeated(request):
    """Make a request that may be repeated, until somebody answers.

    :raises computed.exception.PerhapsDone: nobody did
    """
    for attempt in range(1, TRIES + 1):
        try:
            return request()
        except UNCERTAIN:
            if attempt == TRIES:
                raise
    return None
