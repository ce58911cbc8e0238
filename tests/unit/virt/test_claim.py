import types

import pytest

from computed import exception
from computed.virt import claim as virt_claim

OURS = virt_claim.Owner(database_id='database-1', host='host-1')
ROWS = tuple(types.SimpleNamespace(uuid=uuid) for uuid in 'ab')


def make(**changed):
    return virt_claim.Claim(**{
        'claim_id': 'c', 'operation': 'stop', 'instance': ROWS[0],
        'owner': OURS, 'rows': ROWS, **changed})


def test_a_claim_names_the_guest_of_its_instance():
    assert make().uuid == 'a'


def test_a_claim_without_an_instance_names_its_guest():
    assert make(instance=None, guest='g', rows=()).uuid == 'g'


def test_a_claim_on_nothing_names_no_guest():
    with pytest.raises(ValueError, match='claim c names no guest'):
        _ = make(instance=None, rows=()).uuid


@pytest.mark.parametrize('ended', ['whole', 'part'])
def test_all_parts_of_a_claim_end_together(ended):
    whole = make()
    part = whole.of(ROWS[1])
    assert part.uuid == 'b'
    part.of(ROWS[0]).ensure_live()
    (whole if ended == 'whole' else part).end()
    for claim in (whole, part, part.of(ROWS[0])):
        with pytest.raises(exception.ClaimNotLive):
            claim.ensure_live()


def test_a_claim_is_no_right_to_act_on_another_instance():
    with pytest.raises(ValueError, match='claim c does not hold instance a'):
        make().of(types.SimpleNamespace(uuid='a'))


@pytest.mark.parametrize('owner, name', [
    (None, 'nobody'),
    (virt_claim.Owner('database-1', 'host-2'),
     'host host-2 of database database-1'),
    (virt_claim.Owner('database-2', 'host-1'),
     'host host-1 of database database-2')])
def test_a_guest_of_another_owner_is_refused_with_its_owner(owner, name):
    make().ensure_ours(virt_claim.Owner('database-1', 'host-1'))
    with pytest.raises(exception.ForeignGuest, match=f'belongs to {name}'):
        make().ensure_ours(owner)
