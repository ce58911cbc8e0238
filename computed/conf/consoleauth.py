"""[consoleauth]: the tokens that admit to consoles."""

from oslo_config import cfg

GROUP = cfg.OptGroup('consoleauth', title='Console tokens')

OPTS = [
    cfg.IntOpt('token_ttl', min=1, default=600, mutable=True, help="""
For how many seconds a console token is valid, by the clock of the database.
``computed-manage instance console-token`` makes one.
"""),
]
