"""The moments between two side effects, counted, one of them deadly."""

import functools
import os
import signal
import threading

from computed import files


class Points:
    """Counts side effects, and kills this process just before one.

    :ivar passed: what each was, in order
    :ivar counting: whether they count yet
    """

    def __init__(self, kill_at=None, counting=True):
        """:param kill_at: 1 for the first; None lets all pass"""
        self.passed = []
        self.counting = counting
        self._kill_at = kill_at
        self._lock = threading.Lock()

    def reached(self, label):
        """A side effect is about to happen."""
        if not self.counting:
            return
        with self._lock:
            self.passed.append(label)
            if len(self.passed) == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
                signal.pause()

    def watch_files(self):
        """Count the files that are kept durably, and those removed."""
        for name in ('write_json', 'remove'):
            setattr(files, name, self._counted(getattr(files, name),
                                               lambda path, *_, name=name: (
                f'{name} {os.path.basename(os.path.dirname(path))}')))

    def watch_calls(self, conductor):
        """Count the calls of ``conductor`` that write."""
        for name, method in (('object_class_action_versions', 2),
                             ('object_action', 2)):
            setattr(conductor, name, self._counted(
                getattr(conductor, name),
                lambda *args, method=method: (
                    None if args[method].startswith('get_') else
                    f'call {args[method]}')))

    def _counted(self, function, label):
        @functools.wraps(function)
        def counted(*args, **kwargs):
            if found := label(*args):
                self.reached(found)
            return function(*args, **kwargs)
        return counted
