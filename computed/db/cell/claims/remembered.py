"""Compare a row with what its host remembers of it.

If the database has gone back in time, a row lacks what its host has written.
No claim is granted on such a row.
"""

import dataclasses
import functools
import typing
from collections import abc

import sqlalchemy as sa

from computed.db.cell import cell_clock
from computed.db.engine import prepared

Row = abc.Mapping[str, typing.Any]


@dataclasses.dataclass(frozen=True)
class History:
    """The history that the database is in.

    :ivar incarnation: of the database
    :ivar seconds: what the clock of the cell shows
    """

    incarnation: str | None
    seconds: int


def columns() -> list[sa.ColumnElement[typing.Any]]:
    """Return the columns of a SELECT that make a :class:`History`.

    Select them after the hosts of the claim are locked: a new incarnation
    raises the revisions of all hosts, so none begins before the commit. The
    write itself must not read them: MariaDB would lock the clock, and every
    conductor that counts would wait for the commit.
    """
    return [cell_clock.incarnation_now().label('incarnation'),
            cell_clock.seconds().label('seconds')]


def conditions(model: typing.Any, row: Row,
               now: History) -> list[prepared.Part]:
    """Return the condition that a row has what its host remembers.

    It has that if it has the result that the host wrote last, if it says the
    same, or if it was written later. Revisions do not tell whether it was if
    they are of another incarnation, or if the clock of the cell shows less
    than the host has seen in this one.

    :param model: the table of the row
    :param row: with ``remembered``, which is what
        :meth:`computed.claims.settled.Settled.facts` returns, with the
        ``seconds`` that the host has seen
    :param now: as the open transaction has read it
    """
    facts = row.get('remembered')
    if not facts:
        return []
    by_revision = facts['incarnation'] is None or (
        now.incarnation == facts['incarnation'] and
        now.seconds >= facts.get('seconds', 0))
    by_state = facts['vm_state'] is not None
    return [prepared.Part(_has(model, by_revision, by_state), {
        f'the_remembered_{name}': facts[name]
        for name in ('claim_id', 'revision', 'vm_state')})]


@functools.cache
def _has(model: typing.Any, by_revision: bool, by_state: bool
         ) -> sa.ColumnElement[bool]:
    either = [model.settled_claim_id == prepared.value('remembered_claim_id')]
    if by_revision:
        either.append(
            model.revision > prepared.value('remembered_revision'))
    if by_state:
        either.append(
            model.vm_state == prepared.value('remembered_vm_state'))
    return sa.or_(*either)
