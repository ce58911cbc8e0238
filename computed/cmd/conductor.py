"""computed-conductor: run the SQL for hosts."""

import os
import sys

from computed import concurrency
from computed.cmd import setup
from computed.service import conductor
from computed.service import mainloop
from computed.service import signals
from computed.service.output import console


def main(argv: list[str] | None = None) -> None:
    """Run until a signal; the exit status is that of the main loop.

    With ``--child`` as the first argument it also ends when its standard
    input ends, because then its parent has ended.
    """
    signals.survive()
    argv = setup.with_absolute_paths(sys.argv[1:] if argv is None else argv)
    child = argv[:1] == ['--child']
    conf = setup.configure(argv[1:] if child else argv, 'computed-conductor',
                           setup=console.standalone_defaults)
    loop = mainloop.MainLoop(conf, conductor.ConductorService(conf))
    if child:
        concurrency.thread('parent', follow_parent, loop).start()
    loop.run()


def follow_parent(loop: mainloop.MainLoop) -> None:
    """End ``loop`` when the other end of standard input is closed."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    loop.end()


if __name__ == '__main__':
    main()
