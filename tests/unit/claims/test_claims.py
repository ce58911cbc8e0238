import contextlib
import gc

import pytest

from computed import context
from computed import exception
from computed.claims import absence
from computed.claims import claims
from computed.claims import journal
from computed.virt import claim as virt_claim
from tests.support import fixtures


@pytest.mark.parametrize('ask', [
    lambda asker, ctxt: asker.claim(ctxt, fixtures.UUID, 'stop', {}),
    lambda asker, ctxt: absence.claim(
        asker, ctxt, absence.Listing([], 7), fixtures.UUID, 'destroy')])
def test_nothing_is_asked_for_after_an_answer_beyond_its_bound(
        tmp_path, ask):
    asker = claims.Claims('db', fixtures.HOST, 's', 'b',
                          journal.Journal(tmp_path / 'claims'))
    ctxt = context.new()
    ctxt.tolerating_lag(True).reads.note(context.Origin(
        'replica', 'n', context.AVAILABILITY, 1000.0), 0.0)
    with pytest.raises(exception.StaleFacts):
        ask(asker, ctxt)
    assert list((tmp_path / 'claims').iterdir()) == []


class Released(claims.Claims):
    """Notes what is released instead of telling the primary."""

    def __init__(self):
        self.released = []

    def release(self, context, claim):
        claim.end()
        self.released.append(claim.claim_id)


def made():
    return virt_claim.Claim('c1', 'test', None, virt_claim.Owner('d', 'h'),
                            guest='u1')


def test_a_claim_that_was_not_settled_is_released_at_the_end():
    asker = Released()
    with asker.held(context.new(), made()) as claim:
        assert claim.live
    assert asker.released == ['c1']


def test_it_is_released_after_any_exception():
    asker = Released()
    with pytest.raises(KeyboardInterrupt):
        with asker.held(context.new(), made()):
            raise KeyboardInterrupt
    assert asker.released == ['c1']


def test_one_that_was_settled_is_not():
    asker = Released()
    with asker.held(context.new(), made()) as claim:
        claim.end()
    assert asker.released == []


def test_it_can_be_handed_to_another_thread():
    """What held it may be forgotten meanwhile: the claim stays."""
    asker = Released()
    with contextlib.ExitStack() as held:
        held.enter_context(asker.held(context.new(), made()))
        kept = held.pop_all()
    del held
    gc.collect()
    assert asker.released == []
    kept.close()
    assert asker.released == ['c1']
