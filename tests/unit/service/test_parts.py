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

    def waiting(error):
        found.begin_end()
        return 600
    with pytest.raises(parts.Ended):
        found.until_possible(attempt, (TimeoutError,), waiting)
    assert tried == [1]


def test_a_wait_is_told_once_a_minute_and_when_it_is_over(minutes, caplog):
    found, begun = parts.Parts(), minutes.now

    def attempt():
        seconds = minutes.now - begun
        if seconds < 30:
            raise ConnectionError(f'nobody listens ({seconds})')
        if seconds < 100:
            raise TimeoutError(f'away ({seconds})')
        return 'there'

    def passes(error):
        minutes.now += 5
        return 0
    assert found.until_possible(attempt, (OSError,), passes,
                                silent=10) == 'there'
    assert [record.getMessage() for record in caplog.records] == [
        'Waiting: nobody listens (5.0)', 'Waiting: away (30.0)',
        'Waiting for 85 s: away (90.0)',
        'It waited for 90 s, and goes on.']
