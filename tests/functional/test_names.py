"""Names that a conductor refuses from every caller."""

import uuid

import pytest

from computed import context
from computed import exception
from computed.objects import freeze as freeze_obj
from computed.objects import host as host_obj
from computed.objects import instance as instance_obj
from tests.support import fixtures


def create(**values):
    made = instance_obj.Instance(context.new(), **{
        **fixtures.INSTANCE, 'uuid': str(uuid.uuid4()), **values})
    made.create()


@pytest.mark.parametrize('name', ['(all)', '(none)', '', 'h\n', 'x' * 300],
                         ids=repr)
def test_no_host_has_such_a_name(host_side, pair, name):
    before = pair.sql(pair.primary, 'SELECT name FROM hosts')
    with pytest.raises(exception.InvalidName):
        host_obj.Service.register(
            context.new(), name, fixtures.SERVICE, fixtures.SERVICE,
            fixtures.BOOT, '0')
    assert pair.sql(pair.primary, 'SELECT name FROM hosts') == before


def test_no_instance_gets_such_a_name(host_side, pair):
    with pytest.raises(exception.InvalidName):
        create(name='a\nb')
    assert pair.sql(pair.primary, 'SELECT name FROM instances') == [('web',)]


def test_no_instance_is_given_such_a_name(host_side, pair):
    found = instance_obj.Instance.get_by_uuid(context.new(), fixtures.UUID)
    found.name = ''
    with pytest.raises(exception.InvalidName):
        found.save()
    assert pair.sql(pair.primary, 'SELECT name FROM instances') == [('web',)]


@pytest.mark.parametrize('host', ['(none)', ''])
def test_what_belongs_to_no_host_is_no_host(host_side, pair, host):
    with pytest.raises(exception.HostNotFound):
        create(host=host)


def test_what_belongs_to_no_host_is_not_frozen(host_side):
    with pytest.raises(exception.HostNotFound):
        freeze_obj.Freeze.impose(
            context.new(), '(none)', 'r', 'b', str(uuid.uuid4()))
