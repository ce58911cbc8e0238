"""Guarantees removed on purpose, and the test that must notice each.

A test that stays green without its guarantee proves nothing.
"""

import dataclasses
import os
import pathlib
import shutil

import pytest

from tests.support import prefork

ROOT = pathlib.Path(__file__).parents[2]


@dataclasses.dataclass(frozen=True)
class Fault:
    """:ivar was: text that stands exactly once in ``file``
    :ivar test: the test that must turn red
    """

    name: str
    file: str
    was: str
    becomes: str
    test: str


FAULTS = [
    Fault('a guest whose record is lost is off', 'virt/process/driver.py',
          'adoption.adopt(self._root, {guest.uuid})', 'pass',
          'functional/process_driver/test_adoption.py::'
          'test_a_record_of_an_earlier_run_does_not_hide_the_one_that_goes_on'
          ),
    Fault('the flag is dropped from the wire', 'context.py',
          "'lag_tolerant': self.lag_tolerant,", "'lag_tolerant': False,",
          'functional/test_read_over_rpc.py::test_who_answers'),
    Fault('tolerance leaks into the caller', 'context.py',
          'twin = copy.copy(self)', 'twin = self',
          'unit/test_context.py::'
          'test_a_tolerant_copy_does_not_change_the_original'),
    Fault('a claim rests on nothing', 'db/cell/claims/claim.py',
          'facts = {**kind.defaults, **expected}', 'facts = {}',
          'functional/test_claims.py::'
          'test_a_fact_that_no_longer_holds_loses_the_claim'),
    Fault('a replica is believed to be fresh', 'db/routing/lag.py',
          'math.inf if sent is None else now - sent',
          'math.inf if sent is None else 0.0',
          'functional/test_read_over_rpc.py::'
          'test_a_replica_that_stands_still_is_left_within_the_bound'),
    Fault('a stale object may overwrite a newer row', 'db/cell/instance.py',
          'prepared.equals(models.Instance.revision, expected_revision)',
          'prepared.Part(sa.true())',
          'functional/test_read_over_rpc.py::'
          'test_an_object_from_a_stale_replica_cannot_overwrite_a_newer_row'),
    Fault('a tolerant object may be saved', 'objects/base.py',
          'if self.tolerant:', 'if False:',
          'functional/test_read_over_rpc.py::'
          'test_an_object_that_was_read_tolerantly_is_not_saved'),
    Fault('another life of the database goes unnoticed',
          'db/routing/answers.py',
          'if need.revisions and replica.incarnation != incarnation:',
          'if False:',
          'functional/test_selection.py::'
          'test_a_replica_in_the_former_incarnation_satisfies_no_token'),
    Fault('an exact read is not checked', 'db/routing/answers.py',
          'if not computed_context.reached(scope.revisions, '
          'need.revisions):', 'if False:',
          'functional/test_selection.py::'
          'test_an_exact_read_is_not_answered_by_a_replica_behind'),
    Fault('a claim is granted on a frozen host', 'db/cell/claims/claim.py',
          'fence.explain(context, new, owner, operation)',
          'remembered.History(None, 0)',
          'functional/test_freeze.py::'
          'test_users_are_refused_with_the_reason'),
    Fault('a run that was replaced ends claims', 'db/cell/claims/claim.py',
          'held = [prepared.equals(model.claim_id, claim_id),\n'
          '                fence.stands(owner, new)]',
          'held = [prepared.equals(model.claim_id, claim_id)]',
          'functional/test_heartbeat.py::'
          'test_a_replaced_run_that_does_not_know_gets_nothing'),
    Fault('a copied file is an identity', 'db/cell/succession.py',
          '(later.host_boot_id, later.place) ==',
          'later.service_id == former.service_id or (False, False) ==',
          'unit/db/cell/test_succession.py'),
    Fault('conductors do not share the budget', 'db/routing/budget.py',
          'now, rate = self._clock(), self._rate() / self.conductors',
          'now, rate = self._clock(), self._rate()',
          'unit/db/routing/test_budget.py::test_conductors_share_it'),
    Fault('a demoted primary is believed', 'db/engine/primary_check.py',
          'if tuple(answer) == (server, True):', 'if True:',
          'unit/db/engine/test_primary_check.py'),
    Fault('what a host remembers is not compared',
          'db/cell/claims/remembered.py',
          'return [prepared.Part(_has(',
          'return [] and [prepared.Part(_has(',
          'functional/test_regress.py::'
          'test_what_a_user_asks_for_is_refused_with_one_clear_error'),
    Fault('a database that went back is believed',
          'db/cell/claims/remembered.py',
          "now.seconds >= facts.get('seconds', 0)", 'True',
          'functional/test_regress.py::'
          'test_nor_if_nobody_began_a_new_incarnation'),
    Fault('what no revision covers is called exact', 'db/routing/exact.py',
          'began if read.covered else None', 'began',
          'functional/test_selection.py::'
          'test_what_no_revision_covers_is_as_old_as_the_replica'),
    Fault('a host that is heard is deleted', 'db/cell/retired.py',
          'if age is not None:', 'if False:',
          'functional/test_retired.py::test_a_host_that_is_heard_is_kept'),
    Fault('a host that comes back begins below what it knows',
          'db/cell/host.py', 'revision=revision.first(context)',
          'revision=0', 'functional/test_retired.py::'
          'test_a_host_that_comes_back_begins_above_its_former_life'),
    Fault('an answer beyond its bound may be acted on', 'claims/claims.py',
          'if context.reads.beyond_bound:', 'if False:',
          'unit/claims/test_claims.py'),
]


@pytest.mark.parametrize('fault', FAULTS, ids=lambda fault: fault.name)
def test_the_fault_is_noticed(fault, tmp_path):
    for name in ('computed', 'tests', 'pyproject.toml'):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    path = tmp_path / 'computed' / fault.file
    text = path.read_text()
    assert text.count(fault.was) == 1, f'{fault.was!r} has moved'
    path.write_text(text.replace(fault.was, fault.becomes))
    done = prefork.run(
        'pytest', '-x', '-p', 'no:cacheprovider', f'tests/{fault.test}',
        folder=tmp_path, environment={
            **os.environ, 'PYTHONPATH': str(tmp_path),
            # It shall fail: do not wait long for what never comes.
            'COMPUTED_TESTS_PATIENCE': '2'})
    # 1: tests ran and failed; anything else is an error of the set-up.
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr[-2000:]
    assert 'failed' in done.stdout
