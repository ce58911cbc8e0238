"""Connections to database servers of each kind, and SQL for any table.

Modules load at first use.
"""

import typing

from computed.db import lazy

if typing.TYPE_CHECKING:
    from computed.db.engine import address as address
    from computed.db.engine import deadline as deadline
    from computed.db.engine import dialects as dialects
    from computed.db.engine import encoding as encoding
    from computed.db.engine import errors as errors
    from computed.db.engine import exclusive as exclusive
    from computed.db.engine import inspect as inspect
    from computed.db.engine import pages as pages
    from computed.db.engine import primary_check as primary_check
    from computed.db.engine import server_sql as server_sql
    from computed.db.engine import setup as setup
    from computed.db.engine import sqlite as sqlite
    from computed.db.engine import sqlite_room as sqlite_room
    from computed.db.engine import turns as turns
    from computed.db.engine import upsert as upsert
    from computed.db.engine import urls as urls
else:
    __getattr__ = lazy.modules(__name__)
