"""computed: manage the instances of this host."""

import sys

from computed.cmd import setup
from computed.rpc import options
from computed.service import child
from computed.service import host
from computed.service import mainloop
from computed.service import signals
from computed.service.output import console


def main(argv: list[str] | None = None) -> None:
    """Run until a signal; the exit status is that of the main loop."""
    signals.survive()
    argv = setup.with_absolute_paths(sys.argv[1:] if argv is None else argv)
    conf = setup.configure(argv, 'computed', setup=console.standalone_defaults)
    service = host.HostService(conf)
    loop = mainloop.MainLoop(conf, service)
    service.end = loop.end
    if options.is_standalone(conf):
        service.child = child.ConductorChild(argv, loop.end)
    loop.run()


if __name__ == '__main__':
    main()
