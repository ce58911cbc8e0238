"""How each database engine is connected to and asked.

Modules load at first use.
"""

import typing

from computed.db import lazy

if typing.TYPE_CHECKING:
    from computed.db.engine import inspect as inspect
    from computed.db.engine import pages as pages
    from computed.db.engine import setup as setup
    from computed.db.engine import upsert as upsert
    from computed.db.engine import urls as urls
else:
    __getattr__ = lazy.modules(__name__)
