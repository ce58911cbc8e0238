"""What anybody may have sent is one line of reasonable length."""

import pytest

from computed.logs import printable

EVIL = 'web\n12:00:00 INFO all is well\x1b]0;title\x07\x9b2J\u202e'
ESCAPED = r'web\n12:00:00 INFO all is well\x1b]0;title\x07\x9b2J\u202e'


def deep(levels):
    found = []
    for _ in range(levels):
        found = [found]
    return found


@pytest.mark.parametrize('text, shown', [
    ('web', 'web'), ('Wörter 日本', 'Wörter 日本'), ('', ''), (EVIL, ESCAPED),
    ('a\tb\r\n', r'a\tb\r\n'), ('a\u2028b\x85c', r'a\u2028b\x85c'),
    ('caf\udce9', r'caf\udce9'), (7, '7'), (None, 'None')])
def test_what_cannot_be_printed_is_escaped(text, shown):
    assert printable.escaped(text) == shown
    assert shown.isprintable()


@pytest.mark.parametrize('value', [
    'x' * 10_000, '\x1b' * 10_000, '\ud800', ['x' * 10_000] * 1000,
    deep(100_000), {1: {2: {3: 'x' * 10_000}}}, 10 ** 5000, None],
    ids=lambda value: type(value).__name__)
def test_whatever_comes_is_shown_in_short(value):
    for shown in (printable.short(value), printable.quoted(value)):
        assert len(shown) <= printable.SHORT
        assert shown.isprintable()


def test_an_error_is_its_class_and_its_text():
    assert printable.one_line(ValueError('a\n  b')) == 'ValueError: a b'
    found = printable.one_line(ValueError('\x07' * 10_000))
    assert len(found) <= printable.LONG and found.isprintable()
