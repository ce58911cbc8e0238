"""[conductor]: the metrics of a conductor and the size of its pages."""

from oslo_config import cfg

GROUP = cfg.OptGroup('conductor', title='Conductor')

OPTS = [
    cfg.StrOpt('metrics_address', default='', help="""
HOST:PORT or ``unix:/PATH`` at which this conductor serves its metrics for
Prometheus, under the path ``/metrics``. Everyone who can connect to this
address can read them. HOST must be an address of loopback, such as 127.0.0.1,
unless ``metrics_allow_remote`` is true. An empty value turns this off.
"""),
    cfg.BoolOpt('metrics_allow_remote', default=False, help="""
Let ``metrics_address`` be one that other machines can reach. There is no
password and no TLS: let a firewall admit only Prometheus.
"""),
    cfg.IntOpt('max_page', min=1, max=10000, default=1000, mutable=True,
               help="""
The maximum number of rows that one call gets of a list that can grow. A
client that wants more asks page by page; ``computed-manage`` does so
automatically. A page that contains very long texts can have fewer rows.
"""),
    cfg.IntOpt('event_retention', min=0, default=90, mutable=True, help="""
For how many days the action log keeps what was done to instances and hosts:
``computed-manage instance events`` and ``host events`` show it. 0: for ever.
"""),
]
