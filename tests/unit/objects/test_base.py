import pytest
from oslo_versionedobjects import base as ovo

from computed.objects import base
from computed.objects import host
from computed.objects import instance


@pytest.fixture
def owner():
    """An object with a field that is set, one that is not, and a part."""
    part = host.Service(host='h1')
    part.obj_reset_changes()
    made = host.Host(name='h1', service=part)
    made.obj_reset_changes()
    return made


def _as_the_library(one):
    return ({name: ovo.VersionedObject.obj_attr_is_set(one, name)
             for name in one.fields},
            ovo.VersionedObject.obj_what_changed(one))


def _ours(one):
    return ({name: one.obj_attr_is_set(name) for name in one.fields},
            one.obj_what_changed())


def test_set_and_changed_fields_are_those_that_the_library_finds(owner):
    assert vars(owner)[f'{base.STORED}name'] == 'h1'
    assert _ours(owner) == _as_the_library(owner)
    assert owner.obj_what_changed() == set()
    owner.service.version = '2'
    assert owner.obj_what_changed() == {'service'}
    owner.name = 'h2'
    assert _ours(owner) == _as_the_library(owner)
    assert owner.obj_what_changed() == {'name', 'service'}


def test_a_list_changes_with_its_members():
    one = instance.Instance(name='web')
    found = instance.InstanceList(objects=[one])
    for each in (one, found):
        each.obj_reset_changes()
    assert found.obj_what_changed() == set()
    one.name = 'db'
    assert found.obj_what_changed() == {'objects'}


def test_a_name_that_is_no_field_is_refused(owner):
    with pytest.raises(AttributeError):
        owner.obj_attr_is_set('no_such_field')
