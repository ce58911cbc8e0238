"""Which client runs the methods of objects: one default, or the context's."""

import pytest

from computed import context
from computed.objects import base
from computed.objects import instance


class Client:
    """Notes what it is asked to do."""

    def __init__(self):
        self.asked = []

    def object_class_action_versions(self, ctxt, objname, objmethod, *rest):
        self.asked.append(f'{objname}.{objmethod}')

    def object_action(self, ctxt, objinst, objmethod, *rest):
        self.asked.append(f'{objinst.obj_name()}.{objmethod}')
        return {}, None


@pytest.fixture
def default():
    found = Client()
    before = base.use_conductor(found)
    yield found
    assert base.use_conductor(before) is found


def read_and_save(ctxt):
    instance.Instance.get_by_uuid(ctxt, 'u')
    instance.Instance(ctxt).save()


def test_the_default_serves_every_context(default):
    read_and_save(context.new())
    assert default.asked == ['Instance.get_by_uuid', 'Instance.save']
    assert base.conductor_of(context.new()) is default


def test_a_context_may_name_another_conductor(default):
    ctxt, other = context.new(), Client()
    ctxt.conductor = other
    read_and_save(ctxt.tolerating_lag(True))
    assert (default.asked, len(other.asked)) == ([], 2)


def test_a_process_with_a_database_asks_no_conductor():
    ctxt = context.new()
    ctxt.conductor = Client()
    assert base.use_conductor(None) is None
    assert base.conductor_of(ctxt) is None
