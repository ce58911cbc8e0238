"""Queries on the rows of deleted instances, for their hosts."""

from collections import abc

import sqlalchemy as sa

from computed import context as computed_context
from computed.db.cell import models
from computed.db.cell.database import cell
from computed.db.engine import pages

# The maximum number of rows of a page.
AT_ONCE = 100
_ROW = models.Instance


@cell.read
def get_uncleaned(context: computed_context.RequestContext, host: str,
                  limit: int | None, marker: str | None) -> pages.Page:
    """Return a page of the instances whose files a host must remove, by uuid.

    Their guests are gone: those that are left are of
    :mod:`computed.db.cell.retired`. What the host has given up is left out.
    See :func:`pages.read`.
    """
    return pages.read(
        context.connection,
        sa.select(_ROW).where(
            _ROW.host == host, _ROW.deleted == sa.true(),
            _ROW.cleaned == sa.false(), _ROW.clean_failed == sa.false(),
            _ROW.guest_left == sa.false()),
        (_ROW.uuid,), limit, marker, AT_ONCE)


@cell.read
def get_by_uuids(context: computed_context.RequestContext,
                 uuids: abc.Sequence[str], limit: int | None,
                 marker: str | None) -> pages.Page:
    """Return a page of the instances with these uuids, deleted or not.

    They may be of any host. See :func:`pages.read`.
    """
    return pages.read(
        context.connection, sa.select(_ROW).where(_ROW.uuid.in_(uuids)),
        (_ROW.uuid,), limit, marker, AT_ONCE)
