"""Which conductors are alive, as one of them sees it.

A conductor is alive as long as its heartbeats are seen to change. The observer
measures the time between two changes by its own monotonic clock; what the
clocks of the others, or of the database, show is not looked at.
"""

from collections import abc


class Peers:
    """The newest heartbeat of each conductor, and since when it is known."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, float]] = {}

    def observe(self, shown: abc.Mapping[str, int], now: float) -> None:
        """Note the newest heartbeats.

        :param shown: ``{id of a conductor: heartbeat}``, of all of them
        :param now: monotonic seconds
        """
        self._seen = {
            name: (heartbeat, since[1])
            if (since := self._seen.get(name)) and since[0] == heartbeat
            else (heartbeat, now) for name, heartbeat in shown.items()}

    def live(self, now: float, within: float) -> int:
        """Return how many were seen to change within so many seconds.

        One that was never seen before counts as alive.
        """
        return sum(now - since < within for _, since in self._seen.values())

    def dead(self, now: float, after: float) -> dict[str, int]:
        """Return those that did not change for so many seconds.

        :returns: ``{id of a conductor: heartbeat}``
        """
        return {name: heartbeat for name, (heartbeat, since)
                in self._seen.items() if now - since >= after}
