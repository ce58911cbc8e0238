"""Hold a claim for the body of a ``with``."""

import types
import typing

from computed import context as computed_context
from computed.virt import claim as virt_claim

if typing.TYPE_CHECKING:
    from computed.claims import claims as claims_module


class Held:
    """A claim for the body of a ``with``; it yields the claim.

    The end of the body releases the claim, unless it was settled, even after
    an exception. ``contextlib.ExitStack.pop_all`` hands the claim on to
    another thread. (A generator would end when it is dropped.)
    """

    def __init__(self, claims: 'claims_module.Claims',
                 context: computed_context.RequestContext,
                 claim: virt_claim.Claim) -> None:
        self._claims = claims
        self._context = context
        self._claim = claim

    def __enter__(self) -> virt_claim.Claim:
        return self._claim

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 traceback: types.TracebackType | None) -> None:
        if self._claim.live:
            self._claims.release(self._context, self._claim)
