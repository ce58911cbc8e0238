"""[process]: the guests of the driver ``process``."""

import typing

from oslo_config import cfg
from oslo_config import types

GROUP = cfg.OptGroup('process', title='Driver "process"', help="""
How the driver ``process`` shuts its guests in.
""")

class UserIds(types.String):
    """The first and the last of a range of user ids: ``1000-1999``."""

    def __init__(self) -> None:
        super().__init__(regex=r'^[1-9][0-9]*-[1-9][0-9]*$')

    def __call__(self, value: object) -> typing.Any:
        """Return the text of the range.

        :raises ValueError: it is no range of user ids
        """
        text = super().__call__(value)
        first, last = map(int, text.split('-'))
        # To the kernel the largest number means "do not change".
        if not first <= last < 2 ** 32 - 1:
            raise ValueError(f'{text} is not a range of user ids; write the '
                             'first and the last one')
        return text


OPTS = [
    cfg.Opt('guest_uids', type=UserIds(), default='61184-65519', help="""
The user ids, first and last, from which each guest gets one of its own if the
daemon runs as root. The default is the range from which systemd takes dynamic
users; ids that the system knows or that a process has are left out. A guest
keeps its id for its whole life. If the daemon does not run as root, its
guests run as the user of the daemon.
"""),
    cfg.BoolOpt('guests_run_as_root', default=False, help="""
If the daemon runs as root, run its guests as root too, with all capabilities
and with the files of the host. Such a guest can do everything that the daemon
can, and read the records and disks of all others.
"""),
    cfg.IntOpt('guest_processes_per_vcpu', min=0, default=1024, help="""
How many processes and threads a guest may have for each of its processors. 0:
no limit.
"""),
    cfg.BoolOpt('require_limits', default=False, help="""
Refuse to start a guest if this host cannot keep one of its limits: memory,
processors, processes, or the size of its disk (which takes a file system with
quotas; this driver sets none, so write ``--disk-gb 0``). By default such a
guest is started, and the log and ``computed-status upgrade check`` say what is
not kept.
"""),
]
