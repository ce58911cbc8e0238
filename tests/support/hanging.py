"""A driver one method of which hangs for one guest until it is let go."""

import threading

from computed.virt import driver


class HangingDriver(driver.ComputeDriver):
    """Hands every call on to ``inner``; those of ``method`` hang first.

    :ivar hung: how many calls hang or have hung
    """

    def __init__(self, inner, method, uuid=None):
        """:param uuid: of whose guest; None: the method has none"""
        self._inner = inner
        self._method = method
        self._uuid = uuid
        self._go = threading.Event()
        self._hung = []

    def __getattribute__(self, name):
        if name.startswith('_') or name in ('hung', 'hangs', 'let_go'):
            return object.__getattribute__(self, name)
        found = getattr(self._inner, name)
        return self._hanging(found) if name == self._method else found

    def _hanging(self, found):
        def call(*args):
            if self._uuid is None or self._uuid == getattr(
                    args[0], 'uuid', args[0]):
                self._hung.append(threading.current_thread().name)
                self._go.wait()
            return found(*args)
        return call

    @property
    def hung(self):
        return len(self._hung)

    def hangs(self, name):
        """Whether the call hangs that ``Calls`` has named so."""
        return f'driver: {name}' in self._hung

    def let_go(self):
        """Let the calls return, and all that come."""
        self._go.set()


HangingDriver.__abstractmethods__ = frozenset()
