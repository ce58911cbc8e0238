"""Compare a row with what its host remembers of it.

If the database has gone back in time, a row lacks what its host has written.
No claim is granted on such a row.
"""

import typing
from collections import abc

import sqlalchemy as sa

from computed.db.cell import cell_clock
from computed.db.cell import models

Row = abc.Mapping[str, typing.Any]


def conditions(model: typing.Any,
               row: Row) -> list[sa.ColumnElement[bool]]:
    """Return the condition that a row has what its host remembers.

    It has that if it has the result that the host wrote last, if it says the
    same, or if it was written later. Revisions do not tell whether it was if
    they are of another incarnation, or if the clock of the cell shows less
    than the host has seen in this one.

    :param model: the table of the row
    :param row: with ``remembered``, which is what
        :meth:`computed.claims.settled.Settled.facts` returns, with the
        ``seconds`` that the host has seen
    """
    facts = row.get('remembered')
    if not facts:
        return []
    later = [model.revision > facts['revision']]
    if facts['incarnation'] is not None:
        later.append(sa.select(models.DatabaseIdentity.incarnation)
                     .scalar_subquery() == facts['incarnation'])
        if isinstance(facts.get('seconds'), int):
            later.append(cell_clock.seconds() >= facts['seconds'])
    either = [model.settled_claim_id == facts['claim_id'], sa.and_(*later)]
    if facts['vm_state'] is not None:
        either.append(model.vm_state == facts['vm_state'])
    return [sa.or_(*either)]
