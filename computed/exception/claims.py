"""Errors about claims and frozen hosts."""

from computed.exception.base import ComputedError


class ClaimLost(ComputedError):
    """Instance {uuid} has changed since {operation} was decided. Nothing was \
done."""


class Frozen(ComputedError):
    """{operation} is refused. {scope} is frozen since {since} by {by}: \
{reason}. `computed-manage thaw` ends the freeze."""


class FreezeChanged(ComputedError):
    """{scope} was frozen again by {by}: {reason}. That freeze is not ended. \
Repeat `computed-manage thaw` to end it."""


class NotJournaled(ComputedError):
    """Cannot write the claim for {operation} of instance {uuid} to the \
journal: {reason}. Nothing was done."""


class ClaimNotLive(ComputedError):
    """Claim {claim_id} on instance {uuid} has already ended. Nothing was \
done."""
