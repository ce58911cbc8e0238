"""[compute]: how much of a host may be promised to instances."""

from oslo_config import cfg

GROUP = cfg.OptGroup('compute', title='Resources of this host', help="""
How much of this host may be promised to instances. For each class of
resources this is ``(total - reserved) * ratio``, rounded down.

A change takes effect with the next run of ``update_available_resource``.
""")

OPTS = [
    cfg.IntOpt('reserved_host_cpus', min=0, default=0, mutable=True, help="""
CPUs that are reserved for the host and not given to instances.
"""),
    cfg.IntOpt('reserved_host_memory_mb', min=0, default=512, mutable=True,
               help="""
Memory in MiB that is reserved for the host and not given to instances.
"""),
    cfg.IntOpt('reserved_host_disk_mb', min=0, default=0, mutable=True,
               help="""
Disk space in MiB that is reserved for the host and not given to instances. It
is rounded up to whole GiB.
"""),
    cfg.FloatOpt('cpu_allocation_ratio', min=0.01, max=1000, default=4.0,
                 mutable=True, help="""
How many virtual CPUs may be promised for each CPU of the host. If the option
is removed, the default applies again; a ratio that is recorded in the
database is not used.
"""),
    cfg.FloatOpt('ram_allocation_ratio', min=0.01, max=1000, default=1.0,
                 mutable=True, help="""
How many MiB of memory may be promised for each MiB of the host.
"""),
    cfg.FloatOpt('disk_allocation_ratio', min=0.01, max=1000, default=1.0,
                 mutable=True, help="""
How many GiB of disk may be promised for each GiB of the host.
"""),
]
