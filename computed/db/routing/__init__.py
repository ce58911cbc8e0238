"""The choice of the server that answers each read and takes each write.

Modules load at first use.
"""

import typing

from computed.db import lazy

if typing.TYPE_CHECKING:
    from computed.db.routing import answers as answers
    from computed.db.routing import budget as budget
    from computed.db.routing import database as database
    from computed.db.routing import exact as exact
    from computed.db.routing import health as health
    from computed.db.routing import heartbeat as heartbeat
    from computed.db.routing import incarnation as incarnation
    from computed.db.routing import lag as lag
    from computed.db.routing import monitor as monitor
    from computed.db.routing import nodes as nodes
    from computed.db.routing import primary as primary
    from computed.db.routing import read_stats as read_stats
    from computed.db.routing import replica as replica
    from computed.db.routing import router as router
    from computed.db.routing import selection as selection
    from computed.db.routing import tables as tables
    from computed.db.routing import tolerant as tolerant
    from computed.db.routing import transaction as transaction
else:
    __getattr__ = lazy.modules(__name__)
