"""What each read saw, against the log of the true primary: I2, I3, I4."""

import dataclasses

from tests.schedules import database

# Seconds by which two sums of the same times may differ.
NOISE = 1e-6


@dataclasses.dataclass(frozen=True)
class Answer:
    """An answer that a conductor gave.

    :ivar server: which answered, and ``commits``, how many it could see
    :ivar role: ``primary`` or ``replica``
    :ivar age: the greatest age that it claims, in seconds
    :ivar bound: the greatest age that the caller accepts
    :ivar strict: whether the caller accepts no age at all
    :ivar exact: whether a revision of a host covers all that was read
    :ivar revisions: ``{host: revision}`` of what was read
    """

    server: object
    commits: int
    role: str
    reason: str
    age: float
    bound: float
    strict: bool
    exact: bool
    revisions: dict


class Reads:
    """Compares answers with the log of commits.

    :ivar served: the conductors whose database is ours
    """

    def __init__(self, cluster, clock, judge):
        self._cluster, self._clock, self._judge = cluster, clock, judge
        # {host: [(when, revision)]}
        self._history = {}
        self.served = set()

    def is_another(self, task, server):
        """Return whether a conductor reads from a database that is its own.

        One that starts has none, and takes the one that it finds. If it
        fails, the next attempt of its start takes what it finds then.
        """
        if server.name != database.OTHER:
            self.served.add(task.process)
        elif task.name == 'start':
            self.served.discard(task.process)
        return task.process not in self.served

    def committed(self, server, commit):
        """Note which revision each host has after a commit."""
        self._judge.looks['commit'] += 1
        if not commit.touches('hosts'):
            return
        for row in server.rows('SELECT name, revision FROM hosts'):
            known = self._history.setdefault(row['name'], [])
            if not known or known[-1][1] != row['revision']:
                known.append((commit.at, row['revision']))

    def lost(self):
        """The database went back: revisions may be smaller now."""
        self._history.clear()

    def answered(self, answer):
        """Judge an answer."""
        now, began = self._clock(), self._clock() - answer.age
        self._judge.looks[f'read:{answer.role}:{answer.reason}'] += 1
        missed = self._missed(answer, began)
        if answer.strict and answer.role != 'primary':
            self._judge.fail('strict-from-replica', answer.reason)
        if answer.role == 'primary':
            if missed:
                self._judge.fail(
                    'stale-strict', f'{answer.server.name} answers '
                    f'({answer.reason}) without a commit of {missed.by}, '
                    f'{began - missed.at:.2f} s older than the question')
            elif answer.server not in self._cluster.primaries(began):
                self._judge.looks['read of a former primary'] += 1
            return
        if answer.reason == 'after_host':
            self._judge_exact(answer, now)
        if missed and not answer.exact:
            self._judge.fail('understated', f'{now - missed.at:.2f} s, it '
                             f'says {answer.age:.2f} s ({answer.reason})')
        if answer.reason == 'lag_tolerant' and (
                missed := self._missed(answer, now - answer.bound)):
            self._judge.fail('too-old', f'{now - missed.at:.2f} s, the bound '
                             f'is {answer.bound} s')

    def _missed(self, answer, when):
        """Return a commit from before ``when`` that an answer lacks, or None.

        What was lost meanwhile and came back with a former primary is not
        missed.
        """
        truth = self._cluster.primary.log
        unseen = truth[self._cluster.shared(answer.server, answer.commits):]
        logs = [server.log for server in self._cluster.primaries(when)
                ] if unseen else ()
        return next((one for one in unseen if one.at < when - NOISE and
                     all(one in log for log in logs)), None)

    def _judge_exact(self, answer, now):
        for host, revision in answer.revisions.items():
            known = [found for at, found in self._history.get(host, ())
                     if at <= now - answer.age - NOISE]
            if known and revision < known[-1]:
                self._judge.fail('after-host', f'{host} is at {known[-1]}, '
                                 f'the answer at {revision}')

    def renamed(self, host, uuid, name, revision, rows):
        """A user renamed an instance and then listed its host tolerantly."""
        self._judge.looks['own-write'] += 1
        for row in rows:
            if row.uuid == uuid and row.name != name and (
                    row.revision < revision):
                self._judge.fail('own-write', f'{uuid[:4]} of {host}: '
                                 f'{rows.origin}')
