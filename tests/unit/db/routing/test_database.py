import types

from computed import context
from computed.db.cell import host
from computed.db.routing import database


class Router:
    """Notes what it is asked, and runs it."""

    def __init__(self, name):
        self.incarnation = types.SimpleNamespace(database_id=name)
        self.seen = []

    def read(self, query, call, ctxt, covered):
        self.seen.append(('read', query))
        return call()

    def write(self, name, call, ctxt, heartbeat):
        self.seen.append(('write', name, heartbeat))
        return call()


def test_each_database_has_a_router_of_its_own():
    routers = [Router('db1'), Router('db2')]
    for number, router in enumerate(routers):
        one = database.Database(f'cell{number}')
        one.configure(router, lambda: 10)
        assert one.database_id == router.incarnation.database_id

        @one.read
        def find(ctxt, name):
            return name

        @one.write
        def change(ctxt, *, name):
            return name

        @one.liveness
        def report(ctxt):
            return True

        ctxt = context.new()
        assert find(ctxt, 'a') == change(ctxt, name='a') == 'a'
        assert report(ctxt)
    for router in routers:
        assert router.seen == [('read', 'test_database.find'),
                               ('write', 'change', False),
                               ('write', 'report', True)]


def test_a_query_is_named_after_its_module_and_function():
    assert database.query_name(host.get) == 'host.get'


def test_a_revision_of_no_host_is_not_recorded():
    one, ctxt = database.Database('cell'), context.new()
    ctxt.db_scope = types.SimpleNamespace(revisions={})
    for name, revision in (('h1', 7), (None, 8), ('h2', None)):
        one.record_revision(ctxt, name, revision)
    assert ctxt.db_scope.revisions == {'h1': 7}
