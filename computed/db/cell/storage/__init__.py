"""Volumes: which are known, and which instance has which."""

import typing

from computed.db import lazy

if typing.TYPE_CHECKING:
    from computed.db.cell.storage import attachments as attachments
    from computed.db.cell.storage import tables as tables
    from computed.db.cell.storage import usage as usage
    from computed.db.cell.storage import volumes as volumes
else:
    __getattr__ = lazy.modules(__name__)
