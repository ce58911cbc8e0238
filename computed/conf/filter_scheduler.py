"""[filter_scheduler]: what hosts tell to those who place instances."""

from oslo_config import cfg

GROUP = cfg.OptGroup('filter_scheduler', title='Scheduler')

OPTS = [
    cfg.BoolOpt('track_instance_changes', default=True, mutable=True, help="""
Let this host tell conductors which instances it has, as far as that has
changed.

Related options:

* ``[tasks] scheduler_instance_sync_interval``
"""),
]
