"""A wall clock that jumps, for other processes."""

import glob
import os

from tests.servers import base

# libfaketime adds what a file says to the wall clock, and to no other. Under
# it Python cannot sleep for 0 s, so there the same is done in Python.
FAKETIME = '/usr/lib/*/faketime/libfaketime.so.1'
SHIM = """\
import pathlib
import time

really, really_ns = time.time, time.time_ns


def ahead():
    return int(pathlib.Path({path!r}).read_text())


time.time = lambda: really() + ahead()
# logging takes this one since Python 3.13
time.time_ns = lambda: really_ns() + ahead() * 10 ** 9
"""


class Clock:
    """A wall clock for other processes.

    :ivar for_servers: the environment of a server that shall go by it
    :ivar for_python: that of a program of ours
    """

    def __init__(self, folder):
        libraries = glob.glob(FAKETIME)
        if not libraries:
            base.missing('faketime')
        folder.mkdir()
        self._path = folder / 'offset'
        self.jump(0)
        (folder / 'sitecustomize.py').write_text(
            SHIM.format(path=str(self._path)))
        self.for_python = {'PYTHONPATH': os.pathsep.join(filter(None, [
            str(folder), os.environ.get('PYTHONPATH')]))}
        self.for_servers = {
            'LD_PRELOAD': libraries[0], 'FAKETIME_NO_CACHE': '1',
            'FAKETIME_TIMESTAMP_FILE': self._path,
            'FAKETIME_DONT_FAKE_MONOTONIC': '1'}

    def jump(self, seconds):
        """Be so far ahead from now on.

        :param seconds: a whole number
        """
        # In one step, for it is read at any moment.
        following = self._path.with_suffix('.new')
        following.write_text(f'{seconds:+d}')
        following.replace(self._path)
