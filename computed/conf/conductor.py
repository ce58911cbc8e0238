"""[conductor]: what one call may ask of a conductor, and its metrics."""

from oslo_config import cfg

GROUP = cfg.OptGroup('conductor', title='Conductor')

OPTS = [
    cfg.StrOpt('metrics_address', default='', help="""
Where this conductor serves its metrics for Prometheus, as HOST:PORT; the path
is ``/metrics``. Whoever can reach it can read them. Empty: nowhere.
"""),
    cfg.IntOpt('max_page', min=1, max=10000, default=1000, mutable=True,
               help="""
How many rows one call may get of a list that can grow. Who wants more asks
page by page, as ``computed-manage`` does by itself. A page with very long
texts in it may be shorter.
"""),
]
