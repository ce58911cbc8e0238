"""computed-conductor: run the SQL that hosts ask for."""

import os
import sys
import threading

from computed.cmd import setup
from computed.service import conductor
from computed.service import console
from computed.service import mainloop


def main(argv=None):
    """Run until told to end; the exit status is the main loop's.

    With ``--child`` as the first argument it also ends when its standard
    input does: its parent is gone.
    """
    argv = sys.argv[1:] if argv is None else argv
    child = argv[:1] == ['--child']
    conf = setup.configure(argv[1:] if child else argv, 'computed-conductor',
                           setup=console.standalone_defaults)
    loop = mainloop.MainLoop(conf, conductor.ConductorService(conf))
    if child:
        threading.Thread(target=follow_parent, args=(loop,), daemon=True,
                         name='parent').start()
    loop.run()


def follow_parent(loop):
    """End with the process at the other end of standard input."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    loop.end()


if __name__ == '__main__':
    main()
