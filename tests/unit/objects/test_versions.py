"""Objects of other releases, as this one meets them."""

import copy

import pytest

from computed import exception
from computed import objects
from computed.conductor import manager
from computed.objects import base
from computed.objects import versions
from tests.support import deployment as fake

objects.register_all()


@pytest.fixture
def newer():
    """An InstanceList and its Instance, as a release to come sends them."""
    primitive = base.ComputedObject.obj_class_from_name(
        'InstanceList', '1.1')(
            objects=[fake.instance()], next_marker=None).obj_to_primitive()
    member = primitive[versions.DATA]['objects'][0]
    for one in (primitive, member):
        one[versions.VERSION] = '1.99'
        one[versions.CHANGES] = []
        one[versions.DATA]['shine'] = {versions.NAME: 'Shine',
                                       versions.VERSION: '7.0'}
    return primitive


@pytest.mark.parametrize('theirs, met', [
    ('1.0', '1.0'), ('1.1', '1.1'), ('1.10', '1.1'), ('1.9.3', '1.1')])
def test_both_ends_meet_at_the_older_version(theirs, met):
    assert versions.common('InstanceList', theirs) == met


@pytest.mark.parametrize('name, theirs', [
    ('InstanceList', '2.0'), ('InstanceList', '0.9'), ('Shine', '1.0'),
    ('InstanceList', None), ('InstanceList', 'x'), ('InstanceList', '')])
def test_without_a_common_version_the_error_is_one_line(name, theirs):
    with pytest.raises(exception.IncompatiblePeer) as caught:
        versions.common(name, theirs)
    assert '\n' not in str(caught.value) and name in str(caught.value)


def test_what_a_newer_peer_added_is_left_unread(newer):
    sent = copy.deepcopy(newer)
    found = base.ComputedObject.obj_from_primitive(versions.lowered(newer))
    for one in (found, found[0]):
        assert f'{one.VERSION}' == versions.known(one.obj_name())
    assert found[0].name == 'web'
    assert newer == sent


def test_a_change_that_would_be_lost_is_refused(newer):
    newer[versions.DATA]['objects'][0][versions.CHANGES] = ['name', 'shine']
    with pytest.raises(exception.IncompatiblePeer, match='Instance.shine'):
        versions.lowered(newer)


def test_an_older_peer_gets_what_it_knows():
    found = base.ComputedObject.obj_class_from_name('InstanceList', '1.1')(
        objects=[fake.instance()], next_marker='x')
    old = manager.as_known(found, {'InstanceList': '1.0', 'Instance': '1.0',
                                   'Unheard': '3.1'})
    assert old[versions.VERSION] == '1.0'
    assert list(old[versions.DATA]) == ['objects']
    same = manager.as_known(found, {'InstanceList': '1.99',
                                    'Instance': '1.0'})
    assert same[versions.VERSION] == '1.1'
    assert same[versions.DATA]['next_marker'] == 'x'


def test_a_compute_node_for_an_older_peer_has_the_first_fields():
    [cls] = base.registry.obj_classes()['ComputeNode']
    assert cls.fields.keys() - cls.SINCE.keys() == {
        'host', 'hypervisor_type', 'hypervisor_version', 'vcpus',
        'memory_mb', 'disk_gb', 'updated_at', 'revision'}
    node = cls(host='h', vcpus=4, generation=1, vcpus_used=2)
    old = manager.as_known(node, {'ComputeNode': '1.0'})
    assert old[versions.VERSION] == '1.0'
    assert old[versions.DATA] == {'host': 'h', 'vcpus': 4}


def test_only_since_says_which_version_brought_a_field():
    for name, [cls] in base.registry.obj_classes().items():
        if not cls.__module__.startswith('computed.'):
            continue
        assert not {'obj_make_compatible',
                    'obj_make_compatible_from_manifest'} & vars(cls).keys(), (
            f'{name}: name new fields in SINCE')


def test_every_field_that_came_later_says_since_when():
    for name, [cls] in base.registry.obj_classes().items():
        for field, version in cls.SINCE.items():
            assert field in cls.fields, name
            assert (1, 0) < versions.parsed(version) <= versions.parsed(
                cls.VERSION), name
