"""[upgrade_levels]: RPC versions while two releases run side by side."""

from oslo_config import cfg

GROUP = cfg.OptGroup('upgrade_levels', title='Upgrade levels', help="""
Upgrade conductors first, then hosts. Without these options a conductor
answers each host with object versions that this host understands.
""")


def _level(name: str, peers: str) -> cfg.StrOpt:
    return cfg.StrOpt(name, regex=r'^\d+\.\d+$', sample_default='1.0',
                      help=f"""
The highest RPC version to use in calls to {peers}, such as 1.0. Set it to the
version of the oldest one that still runs. Calls that need a higher version
are refused. By default it is the version of this release.
""")


OPTS = [_level('conductor', 'conductors'), _level('compute', 'hosts')]
