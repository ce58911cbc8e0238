"""[upgrade_levels]: what may be sent while two releases run side by side."""

from oslo_config import cfg

GROUP = cfg.OptGroup('upgrade_levels', title='Upgrade levels', help="""
Upgrade conductors first, then hosts. Without any option a conductor sends
objects as old as the host that asked understands.
""")


def _level(name, peers):
    return cfg.StrOpt(name, regex=r'^\d+\.\d+$', sample_default='1.0',
                      help=f"""
The highest version of RPC in calls to {peers}, such as 1.0: that of the
oldest one still running. Calls that need more are not made. None: the version
of this release.
""")


OPTS = [_level('conductor', 'conductors'), _level('compute', 'hosts')]
