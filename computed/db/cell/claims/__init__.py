"""Claims on rows: granted, adopted, ended, and what they rest on."""

import typing

from computed.db import lazy

if typing.TYPE_CHECKING:
    from computed.db.cell.claims import adoption as adoption
    from computed.db.cell.claims import claim as claim
    from computed.db.cell.claims import claimed as claimed
    from computed.db.cell.claims import fence as fence
    from computed.db.cell.claims import guest_claim as guest_claim
    from computed.db.cell.claims import held as held
    from computed.db.cell.claims import remembered as remembered
    from computed.db.cell.claims import requested as requested
else:
    __getattr__ = lazy.modules(__name__)
