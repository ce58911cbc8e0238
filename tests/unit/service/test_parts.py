"""The parts of a service end in order, whenever the end comes."""

import pytest

from computed.service import parts


def test_parts_end_in_reverse_order_even_if_one_fails():
    ended, found = [], parts.Parts()

    def fail():
        ended.append('failed')
        raise OSError('no')
    found.ends_with(lambda: ended.append('first'))
    found.ends_with(fail, lambda: ended.append('last'))
    with pytest.raises(OSError, match='no'):
        found.end(lambda: ended.append('before'))
    assert ended == ['before', 'last', 'failed', 'first']


def test_a_part_that_starts_during_the_end_is_ended_at_once():
    ended, found = [], parts.Parts()
    found.begin_end()
    with pytest.raises(parts.Ended):
        found.ends_with(lambda: ended.append('one'),
                        lambda: ended.append('two'))
    assert ended == ['two', 'one']
    found.end()
    assert ended == ['two', 'one']


def test_nothing_is_tried_again_once_the_end_has_begun():
    tried, found = [], parts.Parts()

    def attempt():
        tried.append(1)
        raise TimeoutError('away')
    with pytest.raises(parts.Ended):
        found.until_possible(attempt, (TimeoutError,), 600,
                             lambda error: found.begin_end())
    assert tried == [1]
