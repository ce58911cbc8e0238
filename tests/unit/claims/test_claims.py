import pytest

from computed import context
from computed import exception
from computed.claims import absence
from computed.claims import claims
from computed.claims import journal
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
