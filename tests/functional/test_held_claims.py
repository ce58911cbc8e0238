"""Operators see every claim, and end one whose holder is silent for good."""

import functools
import json
import uuid

import pytest

from computed import context
from computed import exception
from computed.claims import absence
from computed.objects import held as held_obj
from tests.functional import test_claims_of_several as several
from tests.functional import test_freeze
from tests.support import fixtures

ACTIVE = {'vm_state': 'active', 'task_state': None}
# The default of service_down_time, in seconds.
DOWN_AFTER = 60
manage = test_freeze.manage


def listed(pair):
    status, said = manage(pair, 'claim', 'list', '--strict', '-f', 'json')
    assert status == 0
    return [(row['claim_id'], row['kind'], row['key'], row['holder'])
            for row in json.loads(said)]


@pytest.fixture
def held(manager):
    return manager.claims.claim(context.new(), fixtures.UUID, 'stop', ACTIVE,
                                task_state='powering-off')


@pytest.fixture
def silence(pair):
    """Let the host have been silent for so many seconds."""
    return functools.partial(
        fixtures.silence, functools.partial(pair.sql, pair.primary),
        fixtures.HOST)


def row(pair):
    [found] = pair.sql(pair.primary, 'SELECT vm_state, task_state, claim_id, '
                       'claim_owner, claimed_at FROM instances')
    return found


def test_a_claim_is_shown_with_its_holder(pair, held, silence):
    assert listed(pair) == [
        (held.claim_id, 'instance', fixtures.UUID, 'up')]
    silence(1000)
    assert listed(pair)[0][-1] == 'silent'
    status, said = manage(pair, 'claim', 'list', '--strict')
    assert status == 0 and 'silent for 17 min' in said


def test_it_is_kept_while_its_holder_may_be_alive(pair, held, silence):
    before = row(pair)
    for seconds in (0, DOWN_AFTER / 2):
        silence(seconds)
        status, said = manage(pair, 'claim', 'release', held.claim_id)
        assert status == 1 and 'was heard' in said and said.count('\n') == 1
        assert row(pair) == before


def test_it_is_released_once_its_holder_is_silent(
        pair, manager, held, silence):
    silence(DOWN_AFTER + 1)
    assert manage(pair, 'claim', 'release', held.claim_id) == (
        0, f'instance {fixtures.UUID} is free.\n')
    assert row(pair) == ('active', None, None, None, None)
    assert listed(pair) == []
    # A holder that comes back writes nothing.
    assert manager.claims.settle(
        context.new(), held, vm_state='stopped', task_state=None) is None
    assert row(pair)[0] == 'active'


@pytest.mark.parametrize('column', ['heard_at', 'heard_listened'])
def test_it_is_released_if_the_record_of_its_holder_is_damaged(
        pair, held, silence, column):
    pair.sql(pair.primary, 'UPDATE cell_clock SET seconds = seconds + 1000, '
             'listened = listened + 1000, listened_at = listened_at + 1000')
    silence(1000)
    pair.sql(pair.primary, f"UPDATE services SET {column} = 'now'")
    status, said = manage(pair, 'claim', 'release', held.claim_id)
    assert status == 0, said
    assert row(pair)[2] is None


def test_the_claim_of_a_service_that_was_replaced_is_released(pair, held):
    pair.sql(pair.primary, 'UPDATE services SET service_id = ?',
             str(uuid.uuid4()))
    assert listed(pair)[0][-1] == 'gone'
    assert manage(pair, 'claim', 'release', held.claim_id)[0] == 0
    assert row(pair)[2] is None


@pytest.mark.parametrize('owner', [None, 'x'])
def test_a_damaged_claim_spoils_no_list_and_can_be_released(
        pair, held, silence, owner):
    pair.sql(pair.primary, 'UPDATE instances SET claim_owner = ?, '
             'claimed_at = NULL', owner)
    assert listed(pair) == [
        (held.claim_id, 'instance', fixtures.UUID, 'up')]
    # Nobody knows its holder, which may be the service of this host.
    assert 'was heard' in manage(pair, 'claim', 'release', held.claim_id)[1]
    silence(DOWN_AFTER + 1)
    assert manage(pair, 'claim', 'release', held.claim_id) == (
        0, f'instance {fixtures.UUID} is free.\n')
    assert row(pair) == ('active', None, None, None, None)


def test_a_claim_on_a_guest_is_shown_and_released_too(
        pair, manager, silence):
    claim = absence.claim(
        manager.claims, context.new(),
        absence.listing(manager.claims, context.new()), several.GUEST,
        'remove')
    assert listed(pair) == [(claim.claim_id, 'guest', several.GUEST, 'up')]
    silence(DOWN_AFTER + 1)
    assert manage(pair, 'claim', 'release', claim.claim_id) == (
        0, f'guest {several.GUEST} is free.\n')
    assert several.guests_claimed(pair) == []


def test_a_claim_that_nobody_holds_is_said_and_spoils_no_other(
        pair, held, silence):
    silence(DOWN_AFTER + 1)
    none = str(uuid.uuid4())
    status, said = manage(pair, 'claim', 'release', none, held.claim_id)
    assert status == 1 and f'Nobody holds claim {none}' in said
    assert row(pair)[2] is None


def test_a_repeat_says_that_it_has_ended(pair, held, silence):
    silence(DOWN_AFTER + 1)
    held_obj.HeldClaimList.release(context.new(), held.claim_id, 'me')
    with pytest.raises(exception.ClaimNotFound):
        held_obj.HeldClaimList.release(context.new(), held.claim_id, 'me')
