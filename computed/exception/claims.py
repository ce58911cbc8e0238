"""Errors about claims and frozen hosts."""

from computed.exception.base import ComputedError


class ClaimLost(ComputedError):
    """Instance {uuid} has changed since {operation} was decided. Nothing was \
done."""


class Frozen(ComputedError):
    """{operation} is refused. {scope} is frozen since {since} by {by}: \
{reason}. `computed-manage thaw`, with --host or --all, ends the freeze."""


class FreezeChanged(ComputedError):
    """{scope} was frozen again by {by}: {reason}. That freeze is not ended. \
Repeat `computed-manage thaw` to end it."""


class NotJournaled(ComputedError):
    """Cannot write the claim for {operation} of instance {uuid} to the \
journal: {reason}. Nothing was done."""


class ClaimNotFound(ComputedError):
    """Nobody holds claim {claim_id}: it has ended, or there never was one. \
`computed-manage claim list` shows all claims that are held."""


class ClaimHolderAlive(ComputedError):
    """Claim {claim_id} is not released: its holder, the computed of host \
{host}, was heard {age:.0f} s ago, may still act, and ends its claims itself. \
If it does not come back, repeat this once it was silent for {wait:.0f} s."""


class ClaimNotLive(ComputedError):
    """Claim {claim_id} on instance {uuid} has already ended. Nothing was \
done."""
