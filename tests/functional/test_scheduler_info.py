"""What a host tells of its instances, and what a conductor knows then."""

import pytest

from computed import context
from computed.objects import base
from tests.support import fixtures


def sync(manager, ctxt=None):
    return manager._sync_scheduler_instance_info(ctxt or context.new())


@pytest.fixture
def told(host_side, monkeypatch):
    """``[(count, uuids)]`` of what was told over RPC."""
    found, listener = [], host_side.conductor._listener
    real = listener.call

    def call(ctxt, method, **kwargs):
        found.append((kwargs['count'], kwargs['uuids']))
        return real(ctxt, method, **kwargs)
    monkeypatch.setattr(host_side.conductor, '_listener', type(
        'Listener', (), {'call': staticmethod(call)}))
    return found


def test_the_whole_list_is_told_only_when_it_has_changed(
        manager, pair, told, calls):
    sync(manager)
    told.clear()        # an earlier test may have told the same
    for _ in range(2):
        calls.clear()
        assert sync(manager).recorded == 0
        assert calls == ['get_part_by_host']
    assert told == 2 * [(1, None)]
    told.clear()
    for path in (pair.primary, pair.replica):
        pair.add_instance(path, uuid=fixtures.SERVICE, name='new')
    assert sync(manager).recorded == 2
    both = sorted([fixtures.UUID, fixtures.SERVICE])
    assert told == [(2, None), (2, both)]
    assert sync(manager).recorded == 0
    pair.sql(pair.primary, 'UPDATE instances SET deleted = 1')
    assert sync(manager).recorded == 0
    assert told[-1] == (0, [])


def test_with_a_replica_the_primary_gets_no_statement(fresh, manager, told):
    ctxt = context.new()
    sync(manager, ctxt)
    assert ctxt.reads.by_role == {'replica': 1}


def test_a_replica_that_lags_makes_the_list_old_only(
        fresh, manager, pair, told):
    sync(manager)
    pair.add_instance(pair.primary, uuid=fixtures.SERVICE, name='new')
    assert sync(manager).recorded == 0      # it is not there yet
    pair.add_instance(pair.replica, uuid=fixtures.SERVICE, name='new')
    assert sync(manager).recorded == 2


def add(pair, uuid):
    # A test before may have the replica in use.
    for path in (pair.primary, pair.replica):
        pair.add_instance(path, uuid=uuid, name='new')


class Meanwhile:
    """A conductor; before it is told anything, something happens, once."""

    def __init__(self, conductor, what):
        self._conductor, self._what = conductor, what

    def __getattr__(self, name):
        return getattr(self._conductor, name)

    def sync_instance_info(self, *args):
        what, self._what = self._what, lambda: None
        what()
        return self._conductor.sync_instance_info(*args)


def test_what_changes_after_the_look_is_told_by_the_next_run(
        manager, pair, told, host_side):
    """No replica is needed for an old list."""
    sync(manager)
    told.clear()

    base.use_conductor(Meanwhile(
        host_side.conductor, lambda: add(pair, fixtures.SERVICE)))
    assert sync(manager).recorded == 0
    assert told == [(1, None)]          # one list, with its own digest
    assert sync(manager).recorded == 2


def test_a_list_that_another_run_has_overtaken_ends_right(
        manager, pair, told, host_side):
    """Told between the digest of a list and that list itself."""
    sync(manager)
    add(pair, fixtures.SILENT)
    asked = []

    def overtake(*args):
        if len(args) > 5 and not asked:     # the whole list
            asked.append(args)
            for path in (pair.primary, pair.replica):
                pair.sql(path, 'UPDATE instances SET deleted = 1')
            sync(manager)
        return real(*args)
    real = host_side.conductor.sync_instance_info
    host_side.conductor.sync_instance_info = overtake
    assert sync(manager).recorded == 2
    assert len(asked) == 1
    sync(manager)
    assert told[-1] in ((0, None), (0, []))


def test_what_is_not_wanted_costs_nothing(manager, told, calls):
    manager.conf.set_override('track_instance_changes', False,
                              'filter_scheduler')
    assert sync(manager).note == 'track_instance_changes is false'
    assert calls == [] and told == []
