import pytest

from computed import context


def travelled(**changes):
    """A tolerant context as it arrives after ``changes`` on the wire."""
    values = context.RequestContext(
        lag_tolerant=True, max_staleness=3).to_dict()
    for name, value in changes.items():
        if value is KeyError:
            del values[name]
        else:
            values[name] = value
    return context.RequestContext.from_dict(values)


def test_tolerance_bound_and_tokens_cross_the_wire():
    sent = context.RequestContext(lag_tolerant=True, max_staleness=2.5)
    sent.tokens.advance('db1', 'h1', 7)
    came = context.RequestContext.from_dict(sent.to_dict())
    assert came.lag_tolerant is True
    assert came.max_staleness == 2.5
    assert came.tokens.to_dict() == {
        'incarnation': 'db1', 'revisions': {'h1': 7}}


@pytest.mark.parametrize('changes', [
    {'lag_tolerant': KeyError},
    {'lag_tolerant': None},
    {'lag_tolerant': 'yes'},
    {'lag_tolerant': 1},
    {'max_staleness': 'soon'},
    {'max_staleness': -1},
    {'max_staleness': float('nan')},
    {'max_staleness': True},
    {'tokens': 'x'},
    {'tokens': {'revisions': {'h1': 'x'}, 'incarnation': 'db1'}},
    {'tokens': {'revisions': [1]}},
], ids=str)
def test_what_is_missing_or_malformed_makes_a_context_strict(changes):
    assert travelled(**changes).lag_tolerant is False


def test_unknown_keys_of_a_newer_peer_are_ignored():
    assert travelled(traceparent='00-1-2-01').lag_tolerant is True


def test_a_tolerant_copy_does_not_change_the_original():
    strict = context.new()
    tolerant = strict.tolerating_lag(True, 4)
    assert (strict.lag_tolerant, tolerant.lag_tolerant) == (False, True)
    assert (strict.max_staleness, tolerant.max_staleness) == (None, 4)


def test_copies_share_what_was_written():
    strict = context.new()
    strict.tolerating_lag(True).tokens.advance('db1', 'h1', 3)
    assert strict.tokens.revisions == {'h1': 3}


def test_tokens_keep_the_highest_revision():
    tokens = context.Tokens()
    tokens.advance('db1', 'h1', 5)
    tokens.advance('db1', 'h1', 4)
    assert tokens.revisions == {'h1': 5}


def test_tokens_of_another_incarnation_replace_all():
    tokens = context.Tokens('db1', {'h1': 5, 'h2': 9})
    tokens.advance('db2', 'h1', 1)
    assert tokens.revisions == {'h1': 1}


@pytest.mark.parametrize('incarnation, seen, satisfied', [
    ('db1', {'h1': 5}, True),
    ('db1', {'h1': 6}, True),
    ('db1', {'h1': 4}, False),
    ('db1', {'h2': 9}, False),
    ('db1', {}, False),
    ('db2', {'h1': 5}, False),
])
def test_a_node_satisfies_tokens_only_once_it_has_shown_the_revision(
        incarnation, seen, satisfied):
    tokens = context.Tokens('db1', {'h1': 5})
    assert tokens.satisfied_by(incarnation, seen) is satisfied


def test_no_tokens_are_satisfied_by_any_node():
    assert context.Tokens().satisfied_by('db1', {})


def test_an_origin_ignores_what_a_newer_peer_adds():
    values = {'role': 'replica', 'node': 'n', 'reason': 'lag_tolerant',
              'age': 1.0, 'revision': 3, 'shard': 'x'}
    assert context.Origin.from_dict(values).aged(2).age == 3.0
