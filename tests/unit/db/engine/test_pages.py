import collections
import datetime
import json
import uuid

import pytest
from oslo_messaging._drivers import common

from computed import context
from computed import exception
from computed.db.cell import models
from computed.db.engine import pages
from computed.objects import instance
from computed.rpc import serializer

MIB = 1 << 20
NOW = datetime.datetime(2026, 1, 1, 0, 0, 0, 123456)


def row(**values):
    """Return a row of a result with these columns."""
    return collections.namedtuple('Row', values)(**values)


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
    ([], 3, 0), (['a', 'b'], 3, 2), (['a', 'b', 'c', 'd'], 3, 3),
    (['a' * MIB] * 20, 30, 14), (['a' * 16 * MIB, 'a'], 3, 1),
    (['a', 'a' * 16 * MIB], 3, 1), (['"' * MIB] * 20, 30, 3),
    (['\u00fc' * MIB] * 20, 30, 2), (['\U0001f600' * MIB] * 20, 30, 1)])
def test_very_long_texts_make_a_page_shorter_but_never_empty(
        texts, limit, kept):
    rows = [row(text=text) for text in texts]
    assert pages.cut(rows, limit) == rows[:kept]


@pytest.mark.parametrize('letter', [
    'a', '"', '\\', '\n', '\x01', '\x7f', '\u00fc', '\u2028', '\uffff',
    '\U0001f600'], ids=ascii)
def test_a_row_takes_no_more_on_the_wire_than_it_is_counted_with(letter):
    """As the broker gets it; the answer holds little else."""
    text = letter * 100
    one = row(
        uuid=str(uuid.UUID(int=1)), name=text, host=text, vm_state=text,
        task_state=text, power_state=1, command=text * 100, vcpus=1,
        memory_mb=2 ** 31, disk_gb=2 ** 31, network=text, exit_code=-1,
        fault=text * 100, created_at=NOW, task_state_since=NOW,
        build_started_at=NOW,
        launched_at=NOW, updated_at=NOW, terminated_at=NOW,
        cleaned=False, clean_attempts=2 ** 31 - 1, clean_failed=False,
        deleted_at=NOW, deleted=False, revision=2 ** 62, claim_id=text,
        claim_owner=text, settled_claim_id=text)
    ctxt = context.new()
    found = instance.InstanceList.of(
        ctxt, pages.Page([one], None), instance.Instance.from_row)
    message = json.dumps(common.serialize_msg(
        serializer.Serializer().serialize_entity(ctxt, found)))
    size = pages.wire_bytes(one)
    assert len(message) <= size + 1000
    assert size <= pages.most_bytes(one)
    # A page is not shorter than it must be.
    assert size <= len(message) + 3000


def test_each_engine_gets_the_form_that_its_index_serves():
    columns = models.Instance.name, models.Instance.uuid
    for dialect, form in (('mysql', ' OR '), ('mariadb', ' OR '),
                          ('sqlite', 'uuid) > ('),
                          ('postgresql', 'uuid) > (')):
        assert form in str(pages.beyond(dialect, columns, ('a', 'b')))
