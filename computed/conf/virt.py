"""[virt]: which hypervisor, and how gently."""

from oslo_config import cfg

GROUP = cfg.OptGroup('virt', title='Hypervisor', help="""
The driver that runs the instances of this host.
""")

OPTS = [
    cfg.StrOpt('driver', default='process', help="""
Name of the driver, as registered under the entry point group
``computed.drivers``. ``process`` runs instances as ordinary Linux processes
and needs neither root nor any package.
"""),
    cfg.IntOpt('shutdown_timeout', min=0, default=60, mutable=True, help="""
Seconds that an instance is given to end by itself when it is stopped, before
it is forced. 0 forces at once.
"""),
    cfg.BoolOpt('resume_guests_state_on_host_boot', default=False, help="""
After this machine was restarted, start the instances that ran before. By
default they are recorded as stopped.
"""),
    cfg.FloatOpt('stopped_event_delay', min=0, default=15, mutable=True,
                 help="""
Seconds between a driver's hint that a guest ended and the look at it. A guest
that is back by then was only rebooting. 0 looks at once.
"""),
]
