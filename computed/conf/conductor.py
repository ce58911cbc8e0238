"""[conductor]: what one call may ask of a conductor."""

from oslo_config import cfg

GROUP = cfg.OptGroup('conductor', title='Conductor')

OPTS = [
    cfg.IntOpt('max_page', min=1, max=10000, default=1000, mutable=True,
               help="""
How many rows one call may get of a list that can grow. Who wants more asks
page by page, as ``computed-manage`` does by itself. A page with very long
texts in it may be shorter.
"""),
]
