"""What befalls database servers, and what their operators do."""

from computed import chance
from tests.schedules import hub
from tests.schedules import rows

STRIDE = 1 << 20        # computed.db.routing.incarnation.STRIDE
# Seconds by which a wall clock jumps.
JUMPS = (3600, -3600, 86400)


class Databases:
    """The faults of database servers; see :class:`.faults.Sudden`."""

    def __init__(self, cell):
        self._cell, self._cluster = cell, cell.cluster
        self._random = cell.random

    def _some(self, things):
        return things[int(self._random.random() * len(things))]

    def _within(self, seconds):
        return self._random.random() * seconds

    def db_restart(self):
        server = self._cluster.primary
        if not server.up:
            return
        hub.running.tell('the primary goes down')
        self._stop(server)

        def back():
            if server is self._cluster.primary and not server.up:
                hub.running.tell('the primary is back')
                server.up = True
        hub.running.after(self._within(12), back)

    def _stop(self, server):
        server.up = False
        self._sever(server)

    def _sever(self, server):
        for process in self._cell.processes:
            for connection in process.connections:
                if connection.server is server:
                    connection.sever()

    def stall_replica(self):
        if not self._cluster.replicas:
            return
        place = int(self._random.random() * len(self._cluster.replicas))
        if place not in self._cluster.stalled:
            hub.running.tell(f'replica {place} stalls')
            self._cluster.stalled.add(place)
            hub.running.after(self._within(40),
                              lambda: self._cluster.resume(place))

    def fail_over(self):
        """The primary dies. Nothing that was acknowledged is lost."""
        self._promote(self._nearest(), lives=False)

    def switch_over(self):
        """The former primary lives on read-only; open sessions to it stay."""
        self._promote(self._nearest(), lives=True)

    def _nearest(self):
        """Return a replica that lacks nothing: semi-synchronous."""
        replica = max(self._cluster.replicas, key=lambda one: len(one.log))
        replica.apply(self._cluster.primary.log[len(replica.log):])
        return replica

    def fail_over_lagging(self):
        self._promote(self._some(self._cluster.replicas),
                      self._random.random() < 0.5)

    def _promote(self, replica, lives):
        former = self._cluster.primary
        lost = self._cluster.fail_over(replica, lives)
        if not lives:
            self._stop(former)
        self._lost(lost, f'failover to {replica.name}, the former primary '
                         f'{"lives on" if lives else "is dead"}')
        self._cluster.committed(self._cluster.primary)
        if lost:
            self._cell.clocks.ended.add(replica.history()[0])

    def _lost(self, commits, text):
        if commits:
            self._cell.judge.lost(f'{text}; {commits} commits are lost')
            self._cell.reads.lost()
            self._cell.rows.lost(self._cluster.primary.rows(rows.QUERY))
        else:
            hub.running.tell(text)

    def restore(self):
        """A dump is loaded, and the operator does what the page says."""
        if self._load_dump('a dump is restored'):
            self._cluster.primary.write(
                ('UPDATE database_identity SET incarnation = ?',
                 chance.uuid()),
                (f'UPDATE hosts SET revision = revision + {STRIDE}',))

    def restore_unsaid(self):
        """A dump is loaded, and the operator does nothing more."""
        self._load_dump('a dump is restored, and nobody says so')

    def _load_dump(self, text):
        former, length = self._cluster.primary, len(self._cluster.primary.log)
        if length < 20:
            return False
        lost = self._cluster.restore(length - 1 - int(
            self._within(min(60, length - 10))))
        self._stop(former)
        self._lost(lost, text)
        self._cell.clocks.is_back(self._cluster.primary.history()[0])
        return True

    def fail_back(self):
        """A failover; then by mistake the former primary is it again."""
        former = self._cluster.primary
        self.switch_over()

        def back():
            if former in self._cluster.retired:
                later = self._cluster.primary
                lost = self._cluster.fail_back(former)
                # It names itself, so only the clock shows that it is back.
                self._cell.clocks.ended.discard(former.history()[0])
                self._stop(later)
                self._lost(lost, f'{former.name} is the primary again')
        hub.running.after(self._within(15), back)

    def wrong_database(self):
        """The address of the primary leads to another database for a while.

        Not while a host has yet to learn which database is its own. If a
        conductor begins then, too, nobody can know that it is another one.
        """
        cluster = self._cluster
        if cluster.misled or not all(
                machine.knows for machine in self._cell.machines):
            return
        hub.running.tell('the address of the primary leads to another '
                         'database')
        right = cluster.primary
        cluster.mislead(chance.uuid())
        self._sever(right)

        def back():
            hub.running.tell('the address of the primary is right again')
            self._sever(cluster.lead())
            # One that has begun with the other database stays with it.
            for conductor in self._cell.conductors:
                if conductor.process not in self._cell.reads.served:
                    conductor.crash()
                    conductor.start_in(1.0)
        hub.running.after(self._within(25), back)

    def wall_db(self):
        jump = self._some(JUMPS)
        self._cluster.primary.clock += jump
        self._cell.judge.jumped = True
        hub.running.tell(f'the clock of the primary jumps by {jump} s')
