"""Whether a replica may be used: a state machine without side effects."""

import dataclasses


@dataclasses.dataclass
class Health:
    """The state of one replica: in use, or out of use for a reason.

    At start one good sample is enough. After an ejection a replica needs
    ``good_samples`` in a row, and its share of reads grows over ``ramp``
    seconds.

    :ivar reason: why the replica is out of use; None while it is in use
    """

    good_samples: int = 5
    ramp: float = 30.0
    reason: str | None = 'not looked at yet'
    good_in_a_row: int = 0
    bad_in_a_row: int = 0
    back_since: float | None = None
    ejected_once: bool = False

    @property
    def usable(self) -> bool:
        """Return whether the replica is in use."""
        return self.reason is None

    def good(self, now: float) -> bool:
        """Count a probe that a fit node answered.

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

    def bad(self, reason: str) -> bool:
        """Count a failed probe or read, or a node that is unfit.

        :returns: True if this took the replica out of use
        """
        self.good_in_a_row = 0
        self.bad_in_a_row += 1
        was_usable = self.usable
        self.reason = reason
        self.ejected_once = self.ejected_once or was_usable
        return was_usable

    def share(self, now: float) -> float:
        """Return the part of its reads that it may get, from 0 to 1."""
        if not self.usable:
            return 0.0
        if self.back_since is None or not self.ramp:
            return 1.0
        return min(1.0, (now - self.back_since) / self.ramp)
