"""What an operator of the cell does meanwhile."""

import dataclasses

import sqlalchemy
from oslo_db import exception as db_exc

from computed import context as computed_context
from computed import exception
from computed.cmd.manage import database
from computed.db.cell import purge
from computed.db.engine import address
from computed.db.engine import setup
from computed.rpc import hostapi
from tests.schedules import database_faults
from tests.schedules import hub

# Seconds for which what is purged was gone.
GONE = 5


class Operator(database_faults.Databases):
    """Its acts happen as faults do; see :class:`.faults.Sudden`."""

    def purge(self):
        """An operator deletes the rows of what was deleted seconds ago."""
        hub.running.tell('an operator purges')
        hub.running.spawn(self._cell.process('operator'), self._purge,
                          name='purge')

    def _purge(self):
        engine = setup.single(address.prepare(self._cluster.url))
        setup.tune(engine)
        sqlalchemy.event.listen(engine, 'do_connect',
                                lambda *_: self._cell.connect(engine.url))
        try:
            now = purge.now(engine)
            limits = database.limits_of(
                now, GONE,
                self._cell.conf_of_user().tasks.instance_usage_audit_period,
                False)
            if self._cell.consumers is None:    # nobody is to be told of it
                limits = dataclasses.replace(
                    limits, reported=now, made_up=now)
            hub.running.tell(f'{purge.purge(engine, limits)} rows and '
                             f'{purge.purge_audits(engine, limits)} audits '
                             'are purged')
        except (sqlalchemy.exc.SQLAlchemyError, db_exc.DBError) as error:
            hub.running.tell(f'the purge ends: {error}')
        finally:
            engine.dispose()

    def reconcile(self):
        """An operator decides what is right of a held instance."""
        found = [(machine, uuid) for machine in self._cell.machines
                 if machine.alive and machine.ready for uuid in sorted(
                     machine.service.claims.settled.held())
                 if uuid in self._cell.judge.guests]
        if found:
            machine, uuid = self._some(found)
            keep_guest = self._within(1.0) < 0.5
            hub.running.tell(f'an operator decides for the {{}} of {uuid[:4]}'
                             .format('guest' if keep_guest else 'record'))
            hub.running.spawn(
                self._cell.process('operator'), self._reconcile, machine,
                self._cell.judge.guests[uuid], keep_guest, name='reconcile')

    def _reconcile(self, machine, guest, keep_guest):
        hosts = hostapi.HostAPI(self._cell.transport(
            self._cell.conf_of_user()))
        self._cell.rows.decides(guest.uuid)
        right = self._cell.judge.decides(guest, keep_guest)
        try:
            hosts.reconcile(computed_context.new(), machine.host, guest.uuid,
                            keep_guest)
        except exception.ComputedError as error:
            hub.running.tell(f'{guest} is not decided: {error}')
        else:
            hub.running.tell(f'{guest} is decided')
            self._cell.judge.decided(guest, right)
