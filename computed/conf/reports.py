"""[oslo_reports]: where a report of a running service goes."""

from oslo_config import cfg

GROUP = cfg.OptGroup('oslo_reports', title='Reports', help="""
A service writes a Guru Meditation Report on SIGUSR2: the stack of each thread,
its processes, and its configuration without secrets.
""")

OPTS = [
    cfg.StrOpt('log_dir', mutable=True, help="""
The folder in which each report gets a file of its own. Without it, reports
are written to standard error.
"""),
]
