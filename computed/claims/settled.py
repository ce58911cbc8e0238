"""Remember what this service has settled, in case the database forgets it.

A failover to a lagging replica and a restore take the database back in time.
A row that then lacks what this service knows of it is *regressed*. Its guest
is right, as far as anybody can tell, and the row is not. So the instance is
held: nothing is done to it until an operator has decided.

What is remembered changes when a claim is granted, before the guest is
changed, and when its end is acknowledged.
"""

import dataclasses
import threading
import typing
from collections import abc

from oslo_log import log as logging

from computed import clock as clock_module
from computed import metrics
from computed.claims import remembered
from computed.logs import named
from computed.objects import arguments
from computed.objects import instance as instance_obj
from computed.virt import claim as virt_claim

LOG = logging.getLogger(__name__)

Row = remembered.Row
Remembered = remembered.Remembered


class Settled:
    """What this service remembers of all instances of its host."""

    def __init__(self, owner: virt_claim.Owner,
                 store: remembered.Store | None = None,
                 clock: abc.Callable[[], float] = clock_module.monotonic,
                 ) -> None:
        """:param store: None: nothing outlives this object"""
        self._owner = owner
        self._store = store
        self._clock = clock
        self._lock = threading.RLock()
        self._all = store.read() if store else {}
        # When each was noted, in seconds of ``clock``; what an earlier run
        # noted is older than everything.
        self._noted = dict.fromkeys(self._all, float('-inf'))
        self._count()

    # -- what is remembered

    def get(self, uuid: str) -> Remembered | None:
        """Return what is remembered of an instance, or None."""
        return self._all.get(uuid)

    def label(self, uuid: str) -> str:
        """Return what a log line calls an instance."""
        one = self.get(uuid)
        return named.instance(one.name if one else '', uuid)

    def held(self) -> dict[str, Remembered]:
        """Return the instances that are held."""
        with self._lock:
            return {uuid: one for uuid, one in self._all.items() if one.held}

    def facts(self, uuid: str) -> arguments.Remembered | None:
        """Return what a row must have for a claim; None: nothing is known.

        :raises computed.exception.InstanceRegressed: the instance is held
        """
        one = self.get(uuid)
        if one is None:
            return None
        if one.held:
            raise one.error(uuid)
        return {'claim_id': one.claim_id, 'revision': one.revision,
                'incarnation': one.incarnation, 'vm_state': one.vm_state}

    def refuse_known(self, uuid: str) -> None:
        """Refuse to take a guest for nobody's because it has no row.

        :raises computed.exception.InstanceRegressed: this service has worked
            on its instance, and has not deleted it
        """
        one = self.get(uuid)
        if one is not None and not one.gone:
            raise dataclasses.replace(
                one, regressed=remembered.NOTHING).error(uuid)

    # -- remembering

    def granted(self, row: Row, claim_id: str,
                incarnation: str | None) -> None:
        """Note a grant; call it before the guest is changed."""
        with self._lock:
            before = self.get(row.uuid)
            if before and before.vm_state is None and not before.held:
                # The primary has its end, whose answer is still to come; or
                # it was taken over.
                before = (dataclasses.replace(
                    before, revision=row.revision, incarnation=incarnation,
                    vm_state=row.vm_state)
                    if before.claim_id == row.settled_claim_id else
                    before.before)
            if before is None and row.deleted:
                before = Remembered(
                    row.name, row.settled_claim_id or '', row.revision,
                    incarnation, row.vm_state)
            self._put(row.uuid, Remembered(
                row.name, claim_id, row.revision, incarnation, None,
                before and dataclasses.replace(before, before=None),
                order=remembered.order_of(row)))

    def released(self, uuid: str, claim_id: str) -> None:
        """Note that nothing was done under a claim."""
        with self._lock:
            one = self.get(uuid)
            if one is not None and one.claim_id == claim_id:
                self._put(uuid, one.before)

    def ended(self, uuid: str, claim_id: str, incarnation: str | None,
              row: Row | None, vm_state: str | None) -> None:
        """Note the end of a claim, as the primary has acknowledged it.

        :param row: the fresh row; None: the primary knows nothing of the
            claim, so the instance is held
        :param vm_state: what should have been written, or None
        """
        with self._lock:
            one = self.get(uuid)
            # The end of an earlier claim may be told once more, because its
            # answer was lost. Then the row may lack what came later.
            if row is not None and (
                    one is None or one.claim_id == claim_id or
                    one.incarnation in (None, incarnation) and
                    one.revision < row.revision):
                self._put(uuid, Remembered(
                    row.name, claim_id, row.revision, incarnation,
                    row.vm_state if row.host == self._owner.host
                    else remembered.MOVED,
                    order=remembered.order_of(row)))
            # If there was a later claim, the primary had this end.
            elif row is None and one and one.claim_id == claim_id:
                self._put(uuid, dataclasses.replace(one, vm_state=vm_state))
                self.hold({uuid: ''})

    def accept(self, row: Row, incarnation: str | None) -> None:
        """Take ``row`` for right, because an operator has said so."""
        self._put(row.uuid, Remembered(
            row.name, row.settled_claim_id or '', row.revision, incarnation,
            row.vm_state, order=remembered.order_of(row)))

    def forget(self, uuid: str) -> None:
        """Remember nothing of an instance, because an operator has said so.
        """
        self._put(uuid, None)

    def hold_unknown(self, row: Row) -> None:
        """Hold an instance of which this service remembers nothing."""
        one = remembered.unknown(row.name, row.vm_state)
        self._put(row.uuid, dataclasses.replace(
            one, order=remembered.order_of(row)))
        LOG.error('%s', one.error(row.uuid))

    def hold(self, found: abc.Mapping[str, str]) -> None:
        """Hold instances, and say so in one line.

        :param found: ``{uuid: vm_state of the regressed row}``
        """
        with self._lock:
            new = {}
            for uuid, vm_state in found.items():
                one = self.get(uuid)
                if one is not None and not one.held:
                    new[uuid] = dataclasses.replace(one, regressed=vm_state)
                    self._put(uuid, new[uuid])
        if len(new) == 1:
            LOG.error('%s', *(one.error(uuid) for uuid, one in new.items()))
        elif new:
            LOG.error(
                '%(count)s instances are held, and nothing is done to them: '
                'this host has recorded more of them than the database has. '
                'Was an old backup restored, or a lagging replica promoted? '
                'Decide with `computed-manage instance reconcile`: '
                '%(names)s.', {'count': len(new), 'names': names(new)})

    # -- comparing

    def is_doubtful(self, row: Row) -> bool:
        """Return whether ``row`` is older than what is remembered.

        Perhaps it comes from a replica that lags, and it is not regressed.
        """
        one = self._of(row)
        return one is not None and not one.held and (
            row.revision < one.revision and not one.is_in(row))

    def forbids(self, row: Row) -> bool:
        """Return whether nothing may be decided by ``row``."""
        one = self._of(row)
        return one is not None and (one.held or self.is_doubtful(row))

    def regressed(self, rows: abc.Iterable[Row],
                  as_of: float) -> dict[str, str]:
        """Return the rows that lack what they must have by now.

        Those that are held already are left out.

        :param as_of: the rows show what was true then, in seconds of
            ``clock``; they may lack what was noted later
        :returns: ``{uuid: vm_state of the row}``
        """
        with self._lock:
            return {row.uuid: row.vm_state for row in rows
                    if (one := self._of(row)) is not None and
                    not one.held and self._noted[row.uuid] <= as_of and
                    not one.is_in(row) and not one.precedes(row)}

    def review(self, rows: abc.Collection[Row], as_of: float) -> None:
        """Compare rows that were read strictly.

        An instance whose row is regressed is held. It is not held any more
        once its row has again what it lacked.

        :param as_of: see :meth:`regressed`
        """
        with self._lock:
            self.hold(self.regressed(rows, as_of))
            for row in rows:
                one = self._of(row)
                if one is not None and one.held and one.is_in(row):
                    self._put(row.uuid, dataclasses.replace(
                        one, regressed=None))
                    LOG.info('Instance %s is no longer held: the database '
                             'has its record again.', row.label)

    def review_all(self, rows: typing.Any, as_of: float) -> None:
        """Compare all rows of the host, and hold those that are missing.

        :param rows: an InstanceList that was read strictly
        :param as_of: see :meth:`regressed`
        """
        origin = getattr(rows, 'origin', None)
        if origin is not None and origin.revision is None:
            return      # the host was deleted, and has not registered again
        self.review(rows, as_of)
        known = {row.uuid for row in rows}
        with self._lock:
            missing = {uuid: one for uuid, one in self._all.items()
                       if uuid not in known and not one.gone and
                       self._noted[uuid] <= as_of}
            for uuid, one in list(missing.items()):
                if origin and one.incarnation == origin.incarnation and (
                        one.revision < (origin.revision or 0)):
                    # In the same history somebody else took the row away.
                    del missing[uuid]
                    self._put(uuid, None)
            self.hold(dict.fromkeys(missing, remembered.NOTHING))

    def _of(self, row: Row) -> Remembered | None:
        """Return what is remembered of a row, if it is an instance."""
        return (self.get(row.uuid) if isinstance(row, instance_obj.Instance)
                else None)

    def _put(self, uuid: str, one: Remembered | None) -> None:
        with self._lock:
            self._noted[uuid] = self._clock()
            if one is None:
                self._all.pop(uuid, None)
            else:
                self._all[uuid] = one
            if self._store:
                self._store.write(uuid, one)
            self._count()

    def _count(self) -> None:
        metrics.regressed_instances.set(len(self.held()))


def names(found: abc.Mapping[str, Remembered]) -> str:
    """Return the names of the first few instances, for the log."""
    known = sorted(one.name for one in found.values())
    return ', '.join(known[:10]) + (' ...' if len(known) > 10 else '')
