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
            row = self._ask(context.tolerating_lag(False), uuid, claim_id,
                            operation, expected, values)
        except UNCERTAIN:
            # If it was granted it must not stay so.
            self._journal.write(journal.Entry(
                claim_id, uuid, self.mark.host, operation, dict.fromkeys(
                    values)))
            raise
        except exception.ComputedError:
            self._journal.forget(claim_id)
            metrics.claims_lost.labels(operation).inc()
            raise
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
        return claim_id

    def _ask(self, context, uuid, claim_id, operation, expected, values):
        for attempt in range(1, TRIES + 1):
            try:
                return instance_obj.Instance.grant_claim(
                    context, uuid, self.mark.host, self.mark.database_id,
                    claim_id, self.owner, operation, expected, values)
            except UNCERTAIN:
                # The same claim_id, so it is granted once.
                if attempt == TRIES:
                    raise

    def adopt(self, context, instance, operation):
        """Take over a claim that an earlier life of this service left.

        :param instance: as just read from the primary
        :rtype: computed.permit.Claim
        :raises computed.exception.ClaimLost: it is not ours to take
        """
        claim_id = self._begin(instance.uuid, operation)
        try:
            row = instance_obj.Instance.adopt_claim(
                context.tolerating_lag(False), instance.uuid,
                self.mark.host, instance.claim_id, self.service_id,
                claim_id, self.owner)
        except exception.ClaimLost:
            self._journal.forget(claim_id)
            raise
        self._journal.forget(instance.claim_id)
        return permit.Claim(claim_id, operation, row, self.mark)

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
        self._journal.forget(entry.claim_id)
        return row

    def left_behind(self, instances):
        """Those of ``instances`` that an earlier life of this service left
        claimed. What is journaled of any other unfinished claim is dropped:
        it was never granted.
        """
        left = [instance for instance in instances
                if (instance.claim_owner or '').startswith(
                    f'{self.service_id}:') and
                instance.claim_owner != self.owner]
        granted = {instance.claim_id for instance in instances}
        for entry in self._journal.entries():
            if entry.values is None and entry.claim_id not in granted:
                self._journal.forget(entry.claim_id)
        return left

    def replay(self, context):
        """Tell the primary the ends that it could not be told before."""
        for entry in self._journal.entries():
            if entry.values is not None:
                self._settle(context, entry)
