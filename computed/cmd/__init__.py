"""The programs. An import of any of them first chooses the backend.

Before that it lets signals wait, see ``signals.hold_back``.
"""

import os
import sys

from computed import concurrency
from computed.service import signals


def _open_standard_streams() -> None:
    """Open /dev/null in place of each standard stream that is closed.

    Else the next file that is opened, perhaps the database, would get its
    number, and what is meant for standard error would be written into it.
    """
    for number, name in enumerate(('stdin', 'stdout', 'stderr')):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            # noqa below: it stays open as long as the program runs
            setattr(sys, name, open(    # noqa: SIM115
                number, 'w' if number else 'r', closefd=False))


signals.hold_back()
_open_standard_streams()
concurrency.choose(sys.argv[1:])
