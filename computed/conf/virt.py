"""[virt]: the hypervisor driver, and how it stops and starts guests."""

from oslo_config import cfg

GROUP = cfg.OptGroup('virt', title='Hypervisor', help="""
The driver that runs the instances of this host.
""")

OPTS = [
    cfg.StrOpt('driver', default='process', help="""
Name of the driver, as registered under the entry point group
``computed.drivers``. ``process`` runs instances as ordinary Linux processes;
it needs neither root nor any package.
"""),
    cfg.IntOpt('shutdown_timeout', min=0, default=60, mutable=True, help="""
Seconds that an instance gets to shut down when it is stopped. After that it
is killed. 0 kills it at once.
"""),
    cfg.FloatOpt('driver_call_timeout', min=0.01, default=60, mutable=True,
                 help="""
Seconds that a task or an operation waits for one call of the driver. A call
that takes longer goes on by itself: its guest is reported as not answering
and is skipped until the call ends. Operations that stop a guest wait
``shutdown_timeout`` seconds more.
"""),
    cfg.BoolOpt('resume_guests_state_on_host_boot', default=False, help="""
After a reboot of this machine, start the instances that ran before. The first
look at all guests tells which; one that cannot be started then is started
within an hour. By default they are recorded as stopped.
"""),
    cfg.IntOpt('console_log_max_mb', min=1, default=16, help="""
MiB that the output of one guest may take on the disk of the host. The oldest
output is removed first. A guest that prints more than the disk takes is not
held up: the rest is dropped and counted, and ``instance log`` says how much.
A change counts from the next start of a guest on.
"""),
    cfg.FloatOpt('stopped_event_delay', min=0, default=15, mutable=True,
                 help="""
Seconds between a lifecycle event that says that a guest has ended and the
check of that guest. If the guest runs again by then, it was only rebooting. 0
checks at once.
"""),
]
