"""Whether a replica may be used: a pure state machine, fed with samples."""

import dataclasses


@dataclasses.dataclass
class Health:
    """In use, or out of use and why.

    The first good sample suffices at start; once ejected, ``good_samples``
    in a row bring a replica back, and its share of reads grows over ``ramp``
    seconds.

    :ivar reason: why it is out of use; None while in use
    """

    good_samples: int = 5
    ramp: float = 30.0
    reason: str | None = 'not looked at yet'
    good_in_a_row: int = 0
    bad_in_a_row: int = 0
    back_since: float | None = None
    ejected_once: bool = False

    @property
    def usable(self):
        return self.reason is None

    def good(self, now):
        """A probe answered, from a fit node.

        :param now: monotonic seconds
        :returns: True if this brought the replica into use
        """
        self.good_in_a_row += 1
        self.bad_in_a_row = 0
        if self.usable:
            return False
        needed = self.good_samples if self.ejected_once else 1
        if self.good_in_a_row < needed:
            return False
        self.reason = None
        self.back_since = now if self.ejected_once else None
        return True

    def bad(self, reason):
        """A probe or a read failed, or the node is unfit.

        :returns: True if this took the replica out of use
        """
        self.good_in_a_row = 0
        self.bad_in_a_row += 1
        was_usable = self.usable
        self.reason = reason
        self.ejected_once = self.ejected_once or was_usable
        return was_usable

    def share(self, now):
        """The part of its reads it may get, from 0 to 1."""
        if not self.usable:
            return 0.0
        if self.back_since is None or not self.ramp:
            return 1.0
        return min(1.0, (now - self.back_since) / self.ramp)
