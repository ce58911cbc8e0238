"""What was done to instances and hosts, by whom, and what became of it."""

import typing

from computed.db import lazy

if typing.TYPE_CHECKING:
    from computed.db.cell.history import events as events
    from computed.db.cell.history import lists as lists
    from computed.db.cell.history import notes as notes
    from computed.db.cell.history import notices as notices
else:
    __getattr__ = lazy.modules(__name__)
