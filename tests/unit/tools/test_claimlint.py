"""What the lint step finds in code that acts without a claim."""

import ast
import pathlib

import pytest

from tools import claimlint

ROOT = pathlib.Path(__file__).parents[3]
GRANTS, CHANGES = claimlint.grants(ROOT), claimlint.changes(ROOT)


def found(source):
    """The lines of a snippet that are refused."""
    return [line for line, _ in claimlint.problems(
        ast.parse(source), GRANTS, CHANGES)]


def test_the_names_are_read_from_the_code():
    assert {'grant_claim', 'grant_guest_claim', 'adopt_claim',
            'amend_claim', 'settle_claim', 'settle_guest_claim'} == GRANTS
    assert {'spawn', 'destroy', 'power_on', 'power_off', 'reboot', 'pause',
            'unpause', 'attach_volume', 'detach_volume',
            'delete_instance_files'} == CHANGES


@pytest.mark.parametrize('source', [
    'virt_claim.Claim(1, 2, None, owner)',
    'Claim(1, 2, None, owner)',
    'grant.Grant.grant_claim(c, d, e, f, g, [])',
    'Grant.adopt_claim(c, u, old, s, new, o)',
    'grant_obj.Grant.settle_guest_claim(c, claim_id, uuid)',
    'manager.driver.power_off(instance.uuid, 60)',
    'self.driver.destroy()',
    'self._driver.destroy(uuid)',
    'driver.pause(instance)',
    'manager.driver.spawn(row.of(claim), spec)',
])
def test_an_act_without_a_claim_is_refused(source):
    assert found(f'x = 1\n{source}\n') == [2]


@pytest.mark.parametrize('source', [
    'manager.driver.power_off(claim, 60)',
    'manager.driver.power_off(claim=claim, timeout_s=60)',
    'self.driver.destroy(self.claim)',
    'manager.driver.pause(claim.of(row))',
    'instance.destroy()',
    'manager.driver.get_instance(uuid)',
    'manager.claims.claimed(c, "stop", wanted)',
])
def test_the_rest_is_allowed(source):
    assert found(source) == []


def test_it_looks_at_code_and_examples(tmp_path):
    for file in ('computed/objects/grant.py', 'computed/virt/driver.py'):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text((ROOT / file).read_text())
    for file in ('computed/claims/claims.py', 'computed/tasks/bad.py',
                 'doc/examples/bad.py'):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text('x = Claim(1)\n')
    assert [line.split(':')[:2] for line in claimlint.check(tmp_path)] == [
        ['computed/tasks/bad.py', '1'], ['doc/examples/bad.py', '1']]


def test_this_code_passes():
    assert claimlint.check(ROOT) == []
