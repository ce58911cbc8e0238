import pytest

from computed import exception
from computed.db.cell import models
from computed.db.engine import pages


@pytest.mark.parametrize('key', [
    ('web', '11111111'), ('ü "\\', '-'), ('', 'x'), ('n' * 255, 'u' * 36)])
def test_a_marker_stands_for_its_key(key):
    marker = pages.marker_of(key)
    assert pages.key_of(marker, 2) == key
    # It can be typed: no quotes, no spaces.
    assert marker.replace('-', '').replace('_', '').rstrip('=').isalnum()


@pytest.mark.parametrize('marker', [
    '', 'x', 'nonsense', 'ü', 7, ['web', 'x'], b'eA==',
    pages.marker_of(('web',)), pages.marker_of(('a', 'b', 'c')),
    pages.marker_of(('web', 7)), pages.marker_of(('web', None)),
    pages.marker_of('ab'[:1]), pages.marker_of(('a\0', 'b')),
    pages.marker_of(('\ud800', 'b')), pages.marker_of({'a': 1, 'b': 2}),
    pages.marker_of(('x' * 9000, 'b')), 'W' * 9000,
    pages.marker_of(('a', 'b')) + '\n', pages.marker_of(('a', 'b'))[:-3],
], ids=lambda marker: repr(marker)[:30])
def test_what_is_no_marker_is_refused_in_one_line(marker):
    with pytest.raises(exception.InvalidMarker) as caught:
        pages.key_of(marker, 2)
    assert '\n' not in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize('limit, length', [
    (None, 10), (1, 1), (10, 10), (11, 10), (10 ** 30, 10)])
def test_a_page_is_never_longer_than_allowed(limit, length):
    assert pages.length(limit, 10) == length


@pytest.mark.parametrize('limit', [0, -1, '5', 2.5, True, [], float('nan')])
def test_what_is_no_limit_is_refused(limit):
    with pytest.raises(exception.InvalidLimit):
        pages.length(limit, 10)


@pytest.mark.parametrize('texts, limit, kept', [
    ([], 3, 0), ([1, 1], 3, 2), ([1, 1, 1, 1], 3, 3),
    ([pages.TEXT_LIMIT, 1], 3, 1), ([pages.TEXT_LIMIT + 1, 1], 3, 1),
    ([1, pages.TEXT_LIMIT - 1, 1], 3, 2), ([1, pages.TEXT_LIMIT], 3, 1)])
def test_very_long_texts_make_a_page_shorter_but_never_empty(
        texts, limit, kept):
    assert pages.cut(texts, limit, lambda row: row) == texts[:kept]


def test_each_engine_gets_the_form_that_its_index_serves():
    columns = models.Instance.name, models.Instance.uuid
    for dialect, form in (('mysql', ' OR '), ('mariadb', ' OR '),
                          ('sqlite', 'uuid) > ('),
                          ('postgresql', 'uuid) > (')):
        assert form in str(pages.beyond(dialect, columns, ('a', 'b')))
