"""Hosts are deleted on real servers, while others use them."""

import functools
import uuid

import pytest

from computed import context
from computed import exception
from computed.objects import host as host_obj
from computed.objects import instance as instance_obj
from tests.integration import test_claims
from tests.integration import test_replication
from tests.support import fixtures

pytestmark = test_replication.on_each_engine

settings, side = test_claims.settings, test_claims.side
HOST, RUN, ROUNDS = 'h3', test_claims.THERE, 8


def register():
    host_obj.Service.register(
        context.new(), HOST, RUN, RUN, fixtures.BOOT, '0')


def delete(force=False):
    host_obj.Host.delete(context.new(), HOST, force, 'root@here')
    return 'deleted'


def create():
    found = instance_obj.Instance(context.new(), **{
        **fixtures.INSTANCE, 'uuid': str(uuid.uuid4()), 'host': HOST})
    found.create()
    return found.uuid


@pytest.fixture
def sql(side, database):
    return database.sql


def quiet(sql):
    """The host is registered, and was silent for long."""
    register()
    fixtures.silence(sql, HOST, 61)


def at_once(*asked):
    """Each is asked by as many; a list of results and errors."""
    return test_claims.at_once(lambda number: asked[number % len(asked)]())


def exists(sql):
    return bool(sql(f"SELECT 1 FROM hosts WHERE name = '{HOST}'"))


def expect(found, *errors):
    assert not [one for one in found if isinstance(one, Exception) and
                not isinstance(one, errors)], found


def test_no_instance_is_created_on_a_host_that_is_deleted(sql):
    for _ in range(ROUNDS):
        quiet(sql)
        found = at_once(create, delete)
        expect(found, exception.HostNotFound, exception.HostHasInstances)
        [[left]] = sql('SELECT count(*) FROM instances WHERE deleted = false '
                       f"AND host = '{HOST}'")
        assert exists(sql) == bool(left) != ('deleted' in found), found
        sql(f"DELETE FROM instances WHERE host = '{HOST}'")


def test_no_host_is_deleted_that_is_heard_at_that_moment(sql):
    def beat():
        return host_obj.Service.report(
            context.new(), HOST, RUN, RUN, '{}')['ours']
    for _ in range(ROUNDS):
        quiet(sql)
        found = at_once(beat, delete)
        expect(found, exception.HostNotFound, exception.HostHeard)
        assert exists(sql) == (True in found) != ('deleted' in found), found


def test_a_host_that_comes_back_meanwhile_begins_above_what_was_deleted(sql):
    for _ in range(ROUNDS):
        quiet(sql)
        left = create()
        fixtures.silence(sql, HOST, 61)
        delete(force=True)
        found = at_once(register, functools.partial(
            instance_obj.Instance.delete_on_record, context.new(), left,
            HOST, False))
        expect(found, exception.HostHeard)
        [[deleted, guest_left, revision]] = sql(
            'SELECT deleted, guest_left, revision FROM instances '
            f"WHERE uuid = '{left}'")
        [[now]] = sql(f"SELECT revision FROM hosts WHERE name = '{HOST}'")
        assert bool(deleted) == bool(guest_left)
        assert revision <= now
        sql(f"DELETE FROM instances WHERE host = '{HOST}'")


def test_a_host_is_told_of_guests_that_are_left(side, sql):
    """... in the statement that it runs anyway."""
    fixtures.silence(sql, fixtures.HOST, 61)
    host_obj.Host.delete(context.new(), fixtures.HOST, True, 'root@here')
    deleted = instance_obj.Instance.delete_on_record(
        context.new(), test_claims.HERE, fixtures.HOST, False)
    assert deleted.deleted
    found = side.manager(side.virt)
    found.update_available_resource(context.new())
    found.workers.shutdown(wait=True)
    assert test_claims.HERE not in side.virt.list_instances().instances
    assert sql('SELECT count(*) FROM instances WHERE guest_left = true') == [
        (0,)]
