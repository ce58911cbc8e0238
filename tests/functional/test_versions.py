"""Two releases side by side: newer objects, pins, a schema to come."""

import pytest

from computed import context
from computed import exception
from computed.db.cell import migration
from computed.objects import base
from computed.objects import instance as instance_obj
from computed.objects import versions
from tests.functional import conftest
from tests.support import fixtures
from tests.support import waiting


@pytest.fixture
def newer(host_side):
    """An instance as a release to come sends it."""
    primitive = instance_obj.Instance.get_by_uuid(
        context.new(), fixtures.UUID).obj_to_primitive()
    primitive[versions.VERSION] = '1.99'
    primitive[versions.DATA]['shine'] = 'bright'
    return primitive


class Translations:
    """Counts what a conductor is asked to translate."""

    def __init__(self, monkeypatch, side):
        self.count = 0
        self._call = side.conductor._translator.call
        monkeypatch.setattr(side.conductor, '_translator', self)

    def call(self, *args, **kwargs):
        self.count += 1
        return self._call(*args, **kwargs)


def received(side, entity):
    return side.conductor._client.serializer.deserialize_entity(
        context.new(), entity)


def test_a_conductor_translates_what_is_newer(
        host_side, newer, monkeypatch):
    asked = Translations(monkeypatch, host_side)
    found = received(host_side, {'a': [newer]})['a'][0]
    assert found.name == 'web'
    assert f'{found.VERSION}' == versions.known('Instance')
    assert asked.count == 1
    assert received(host_side, found.obj_to_primitive()).name == 'web'
    assert asked.count == 1


def test_without_a_conductor_that_can_it_is_read_as_far_as_known(
        host_side, newer, monkeypatch):
    def refuse(*args, **kwargs):
        raise exception.ConductorUnavailable(url='x')
    monkeypatch.setattr(host_side.conductor, 'object_backport_versions',
                        refuse)
    assert received(host_side, newer).name == 'web'


def test_an_older_conductor_is_not_asked_for_what_it_lacks(
        pair, tmp_path, newer):
    with fixtures.HostSide(pair.folder, tmp_path, **pair.options,
                           upgrade_levels__conductor='1.0') as side:
        assert len(instance_obj.InstanceList.get_all(context.new())) == 1
        with pytest.raises(exception.PinnedTooLow, match='version 1.1'):
            side.conductor.object_backport_versions(
                context.new(), newer, {'Instance': '1.0'})
        assert received(side, newer).name == 'web'


def test_a_conductor_serves_a_host_that_is_newer_or_older(host_side):
    for theirs, ours in (('1.0', '1.0'), ('1.1', '1.1'), ('1.99', '1.1')):
        found = host_side.conductor.object_class_action_versions(
            context.new(), 'InstanceList', 'get_all',
            {'InstanceList': theirs, 'Instance': theirs, 'Shine': '1.0'},
            [], {})
        assert f'{found.VERSION}' == ours
        assert found.obj_attr_is_set('next_marker') is (ours != '1.0')
        assert found[0].name == 'web'


@pytest.mark.parametrize('version', ['2.0', 'x'])
def test_a_host_with_nothing_in_common_is_told_in_one_line(
        host_side, version):
    with pytest.raises(exception.IncompatiblePeer, match='InstanceList'):
        host_side.conductor.object_class_action_versions(
            context.new(), 'InstanceList', 'get_all',
            {'InstanceList': version}, [], {})


def test_a_newer_object_is_saved_unless_that_would_lose_something(
        pair, host_side, newer):
    def save():
        ours = base.ComputedObject.obj_from_primitive(
            versions.lowered({**newer, versions.CHANGES: []}),
            context.new())
        ours.obj_to_primitive = lambda *args, **kwargs: newer
        ours.save()
    newer[versions.DATA]['name'] = 'renamed'
    newer[versions.CHANGES] = ['name', 'shine']
    with pytest.raises(exception.IncompatiblePeer, match='Instance.shine'):
        save()
    newer[versions.CHANGES] = ['name']
    save()
    assert pair.sql(pair.primary, 'SELECT name FROM instances') == [
        ('renamed',)]


# -- a schema to come

@pytest.fixture
def schema_to_come(tmp_path):
    """Both databases after the next release's migrations."""
    found = fixtures.SqlitePair(tmp_path)
    for path in (found.primary, found.replica):
        found.sql(path, 'CREATE TABLE shine (id INTEGER PRIMARY KEY)')
        for table in ('hosts', 'instances', 'services', 'compute_nodes',
                      'replica_heartbeats', 'database_identity'):
            found.sql(path, f'ALTER TABLE {table} ADD COLUMN shine TEXT')
        found.sql(path, "UPDATE alembic_version SET version_num = 'z9'")
    return found


def test_this_code_runs_on_a_schema_to_come(schema_to_come, tmp_path):
    pair = schema_to_come
    migration.check(pair.url(pair.primary))
    program = conftest.start_conductor(pair)
    try:
        with fixtures.HostSide(tmp_path, tmp_path / 'host') as side:
            waiting.wait_for(lambda: carried(pair) and side.conductor
                             .list_replicas(context.new())[1]['usable'], 10,
                             'the replica in use')
            ctxt = context.new()
            found = instance_obj.Instance(ctxt, **{
                **fixtures.INSTANCE, 'uuid': fixtures.UUID[:-1] + '6'})
            found.create()
            found.name = 'renamed'
            found.save()
            assert [one.name for one in instance_obj.InstanceList.get_all(
                ctxt)] == ['renamed', 'web']
            tolerant = context.new()
            assert len(instance_obj.InstanceList.get_all(
                tolerant, use_slave=True)) == 1
            assert tolerant.reads.last.role == 'replica'
    finally:
        program.end()


def carried(pair):
    """Beats, carried by what they are called: there is one more column."""
    for row in pair.sql(pair.primary, 'SELECT conductor_id, heartbeat, '
                        'sent_at FROM replica_heartbeats'):
        pair.sql(pair.replica, 'INSERT OR REPLACE INTO replica_heartbeats '
                 '(conductor_id, heartbeat, sent_at) VALUES (?, ?, ?)', *row)
    return True
