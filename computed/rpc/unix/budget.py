"""How much the clients of one server may ask of it at the same time."""

import threading

PEERS = 256                 # connections
BYTES = 16 << 20            # of requests that are read or worked on
LEAST = 4096                # what the smallest request counts; objects cost


class Budget:
    """Bytes that requests share; each waits until there is room for it."""

    def __init__(self) -> None:
        self._left = BYTES
        self._changed = threading.Condition()

    def take(self, size: int) -> int:
        """Wait until there is room for ``size`` bytes, and take it.

        :returns: what to give back, at least ``LEAST``
        """
        size = max(size, LEAST)
        with self._changed:
            self._changed.wait_for(lambda: self._left >= size)
            self._left -= size
        return size

    def give_back(self, size: int) -> None:
        """Let others use what :meth:`take` returned."""
        with self._changed:
            self._left += size
            self._changed.notify_all()
