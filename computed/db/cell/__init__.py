"""The database of a cell: tables, migrations, queries.

Modules load at first use.
"""

import typing

from computed.db import lazy

if typing.TYPE_CHECKING:
    from computed.db.cell import audits as audits
    from computed.db.cell import bandwidth as bandwidth
    from computed.db.cell import bounds as bounds
    from computed.db.cell import cell_clock as cell_clock
    from computed.db.cell import claims as claims
    from computed.db.cell import console_tokens as console_tokens
    from computed.db.cell import database as database
    from computed.db.cell import deleted as deleted
    from computed.db.cell import freeze as freeze
    from computed.db.cell import history as history
    from computed.db.cell import host as host
    from computed.db.cell import instance as instance
    from computed.db.cell import migration as migration
    from computed.db.cell import models as models
    from computed.db.cell import promised as promised
    from computed.db.cell import purge as purge
    from computed.db.cell import resources as resources
    from computed.db.cell import retired as retired
    from computed.db.cell import revision as revision
    from computed.db.cell import storage as storage
    from computed.db.cell import succession as succession
else:
    __getattr__ = lazy.modules(__name__)
