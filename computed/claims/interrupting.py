"""Tell an act that takes too long to come to an end."""

from collections import abc

from computed import exception
from computed.claims import claims
from computed.claims import kinds
from computed.objects import grant as grant_obj
from computed.virt import claim as virt_claim


def interrupt(asker: claims.Claims, context: claims.Context,
              claim: virt_claim.Claim, reason: exception.ComputedError,
              expected: abc.Mapping[str, object],
              values: abc.Mapping[str, object]) -> None:
    """Tell an act under a claim of this run to end, and record it.

    The claim goes on: the act may still have its effect. Its thread ends the
    claim when the act returns, and writes what became of it.

    :param reason: what becomes its fault
    :param expected: every fact that the decision rested on
    :param values: columns to write now
    :raises computed.exception.ClaimLost: the act has ended meanwhile, or a
        fact no longer holds
    :raises computed.exception.OutcomeUnknown: no answer; the act goes on
    """
    what = claim.interruption
    with what.lock:
        if what.over or what.reason or not claim.live:
            raise exception.ClaimLost(uuid=claim.uuid, operation='interrupt')
        row = kinds.Wanted(kinds.INSTANCE, claim.uuid, expected, values,
                           reason=str(reason))
        try:
            granted = claims.repeated(lambda: grant_obj.Grant.amend_claim(
                context.tolerating_lag(False), claim.claim_id,
                asker.claim_owner, 'interrupt',
                row.request(asker.owner.host, None)))
        except claims.UNCERTAIN:
            what.unknown = True
            raise
        claim.amended(granted.rows[0])
        what.reason = reason
