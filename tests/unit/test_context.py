import threading

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
    sent.tokens.advance('db1', 'i1', 'h1', 7)
    sent.tokens.advance('db2', 'i9', 'h2', 3)
    came = context.RequestContext.from_dict(sent.to_dict())
    assert came.lag_tolerant is True
    assert came.max_staleness == 2.5
    assert came.tokens.to_dict() == {
        'db1': {'incarnation': 'i1', 'revisions': {'h1': 7}},
        'db2': {'incarnation': 'i9', 'revisions': {'h2': 3}}}


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
    {'tokens': {'db1': {'revisions': {'h1': 'x'}, 'incarnation': 'i1'}}},
    {'tokens': {'db1': {'revisions': {'h1': 1.0}, 'incarnation': 'i1'}}},
    {'tokens': {'db1': {'revisions': {'h1': True}, 'incarnation': 'i1'}}},
    {'tokens': {'db1': {'revisions': {'h1': 1}}}},
    {'tokens': {'db1': {'revisions': {'h1': 1}, 'incarnation': 7}}},
    {'tokens': {'db1': {'revisions': [1], 'incarnation': 'i1'}}},
    {'tokens': {'db1': {'incarnation': 'i1'}}},
    {'tokens': {'db1': None}},
    {'tokens': [1]},
    # As an earlier release had them: of one database.
    {'tokens': {'cell': 'db1', 'incarnation': 'i1',
                'revisions': {'h1': 1}}},
], ids=str)
def test_what_is_missing_or_malformed_makes_a_context_strict(changes):
    assert travelled(**changes).lag_tolerant is False


@pytest.mark.parametrize('name, value', [
    ('availability', 1), ('availability', 'yes'), ('availability', KeyError),
    ('after', 7), ('after', KeyError), ('resync', 'yes'), ('resync', KeyError),
])
def test_a_wish_that_is_not_understood_is_none(name, value):
    assert not getattr(travelled(**{name: value}), name)


def test_wishes_cross_the_wire():
    sent = context.RequestContext(availability=True, resync=True)
    came = context.RequestContext.from_dict(sent.exact_for('h1').to_dict())
    assert (came.availability, came.after, came.resync) == (
        True, 'h1', True)


def test_unknown_keys_of_a_newer_peer_are_ignored():
    assert travelled(traceparent='00-1-2-01').lag_tolerant is True


def test_a_tolerant_copy_does_not_change_the_original():
    strict = context.new()
    tolerant = strict.tolerating_lag(True, 4)
    assert (strict.lag_tolerant, tolerant.lag_tolerant) == (False, True)
    assert (strict.max_staleness, tolerant.max_staleness) == (None, 4)


@pytest.mark.parametrize('tolerant', ['no', 1, 'True'])
def test_only_the_very_value_true_makes_a_copy_tolerant(tolerant):
    assert context.new().tolerating_lag(tolerant).lag_tolerant is False


def test_copies_share_what_was_written():
    strict = context.new()
    strict.tolerating_lag(True).tokens.advance('db1', 'i1', 'h1', 3)
    assert strict.tokens.of('db1').revisions == {'h1': 3}


def test_tokens_keep_the_highest_revision():
    tokens = context.Tokens()
    tokens.advance('db1', 'i1', 'h1', 5)
    tokens.advance('db1', 'i1', 'h1', 4)
    assert tokens.of('db1').revisions == {'h1': 5}


def test_a_new_incarnation_of_a_cell_replaces_its_token_only():
    tokens = context.Tokens()
    for cell in ('db1', 'db2'):
        tokens.advance(cell, 'i1', 'h1', 5)
        tokens.advance(cell, 'i1', 'h2', 9)
    tokens.advance('db1', 'i2', 'h1', 1)
    assert tokens.of('db1') == context.Token('i2', {'h1': 1})
    assert tokens.of('db2') == context.Token('i1', {'h1': 5, 'h2': 9})


def test_a_reply_of_one_cell_keeps_the_tokens_of_another():
    tokens = context.Tokens()
    tokens.advance('db1', 'i1', 'h1', 5)
    reply = context.Tokens()
    reply.advance('db2', 'i7', 'h1', 2)
    tokens.adopt(reply)
    assert tokens.of('db1') == context.Token('i1', {'h1': 5})
    assert tokens.of('db2') == context.Token('i7', {'h1': 2})
    # An older reply of the same cell takes nothing back.
    older = context.Tokens()
    older.advance('db1', 'i1', 'h1', 4)
    tokens.adopt(older)
    assert tokens.of('db1').revisions == {'h1': 5}


def test_a_reply_repeats_no_token_of_another_cell():
    """The sender may have moved on: a copy that comes back is out of date."""
    asked = context.Tokens()
    asked.advance('db1', 'i1', 'h1', 5)
    conductor = context.Tokens.from_dict(asked.to_dict())
    conductor.advance('db2', 'i7', 'h1', 2)
    asked.advance('db1', 'i2', 'h1', 1)
    asked.adopt(context.Tokens.from_dict(conductor.news()))
    assert asked.of('db1') == context.Token('i2', {'h1': 1})
    assert asked.of('db2') == context.Token('i7', {'h1': 2})


def test_a_token_without_revisions_asks_for_nothing():
    assert not context.Tokens.from_dict(
        {'db1': {'incarnation': 'i1', 'revisions': {}}})


def test_there_is_no_token_of_a_cell_that_was_not_written():
    assert context.Tokens().of('db1') is None


def test_a_client_for_the_conductor_stays_in_the_process():
    sent = context.new()
    sent.conductor = object()
    assert sent.tolerating_lag(True).conductor is sent.conductor
    came = context.RequestContext.from_dict(sent.to_dict())
    assert came.conductor is None


@pytest.mark.parametrize('seen, reached', [
    ({'h1': 5}, True),
    ({'h1': 6, 'h2': 0}, True),
    ({'h1': 4}, False),
    ({'h2': 9}, False),
    ({}, False),
])
def test_a_node_has_reached_only_what_it_has_shown(seen, reached):
    assert context.reached(seen, {'h1': 5}) is reached
    assert context.reached(seen, {})


def test_a_read_beyond_its_bound_is_remembered_by_all_copies():
    strict = context.new()
    tolerant = strict.tolerating_lag(True)
    for reason in ('lag_tolerant', context.AVAILABILITY, 'strict'):
        tolerant.reads.note(context.Origin('replica', 'n', reason, 1.0), 5.0)
    assert strict.reads.beyond_bound
    assert strict.reads.last_at == 5.0


def test_an_exact_copy_is_neither_tolerant_nor_stays():
    exact = context.RequestContext(lag_tolerant=True).exact_for('h1')
    assert (exact.lag_tolerant, exact.after) == (False, 'h1')
    assert exact.tolerating_lag(True).after is None


def test_an_origin_ignores_what_a_newer_peer_adds():
    values = {'role': 'replica', 'node': 'n', 'reason': 'lag_tolerant',
              'age': 1.0, 'revision': 3, 'shard': 'x'}
    assert context.Origin.from_dict(values).aged(2).age == 3.0


@pytest.mark.parametrize('values', [
    {'max_staleness': 10 ** 400},
    {'tokens': {'c': {'incarnation': 'i',
                      'revisions': {'h': float('inf')}}}}],
    ids=['bound', 'token'])
def test_numbers_beyond_all_measure_are_no_exception(values):
    found = context.RequestContext.from_dict(
        {'lag_tolerant': True, 'availability': True, **values})
    assert not found.lag_tolerant
    assert not found.availability
    assert not found.tokens


def test_tokens_advanced_side_by_side_keep_the_highest():
    others = []

    class Revision(int):
        """Another thread advances while this one is compared."""

        def __gt__(self, other):
            if others:
                return int(self) > other
            overtaking = threading.Thread(
                target=tokens.advance, args=('c', 'i', 'h', 8))
            others.append(overtaking)
            overtaking.start()
            overtaking.join(0.1)    # or it waits for its turn
            return int(self) > other

    tokens = context.Tokens.from_dict(
        {'c': {'incarnation': 'i', 'revisions': {'h': Revision(5)}}})
    tokens.advance('c', 'i', 'h', 7)
    for overtaking in others:
        overtaking.join()
    assert others
    assert tokens.of('c').revisions == {'h': 8}


def test_what_travels_of_tokens_changes_no_more():
    tokens = context.Tokens()
    tokens.advance('c', 'i', 'h', 5)
    sent, known = tokens.to_dict(), tokens.of('c')
    tokens.advance('c', 'i', 'another', 1)
    assert sent['c']['revisions'] == known.revisions == {'h': 5}
