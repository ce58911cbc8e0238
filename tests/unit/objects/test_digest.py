import json

import pytest

from computed import exception
from computed.objects import digest


@pytest.mark.parametrize('said', [
    {}, {'tasks': 2, 'failing': [], 'overdue': ['_heal'], 'last_ok_at': None},
    {'tasks': 2, 'failing': ['a'], 'overdue': [], 'since': {'newer': 1}}])
def test_a_digest_is_read(said):
    digest.ensure(json.dumps(said))
    assert digest.read(json.dumps(said)) == said


@pytest.mark.parametrize('text', [
    'x', '7', '[]', 'null', '{"failing": 7}', '{"failing": [7]}',
    '{"overdue": "a"}', '{"tasks": "many"}', '{"tasks": -1}',
    '[' * 10 ** 5])
def test_a_damaged_one_is_refused_and_said_to_be_so(text):
    assert digest.read(text) is None
    with pytest.raises(exception.InvalidValue, match='services.digest'):
        digest.ensure(text)


@pytest.mark.parametrize('value', [None, 7, {}])
def test_a_digest_is_a_text(value):
    with pytest.raises(exception.InvalidValue):
        digest.ensure(value)
