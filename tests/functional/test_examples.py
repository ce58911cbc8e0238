"""The examples of the pages, run: a real conductor, two databases."""

import pytest
from oslo_config import cfg

from computed import conf as computed_conf
from computed import context
from computed import exception
from computed import manager as computed_manager
from computed import states
from computed.conductor import manager as conductor_manager
from computed.db.cell import database as cell_database
from computed.db.cell.database import cell
from computed.db.routing import router as router_module
from computed.objects import freeze as freeze_obj
from computed.rpc import serializer
from computed.virt import memory
from tests.support import documents
from tests.support import fixtures

UUID = fixtures.UUID
OTHER = '22222222-2222-4333-8444-555555555555'
LONG_AGO = '2020-01-01 00:00:00.000000'
# in ten years, whatever the clock says
NOT_YET = '2036-01-01 00:00:00.000000'


class TestLeases:

    @pytest.fixture
    def virt(self, host_side):
        return memory.MemoryDriver(host_side.conf)

    @pytest.fixture
    def manager(self, fresh, virt, monkeypatch):
        with documents.example('leases') as leases:
            fresh.conf.register_opts(leases.OPTS, group='tasks')
            monkeypatch.setattr(
                computed_manager.ComputeManager, '_end_leases',
                leases.end_leases, raising=False)
            found = fresh.manager(virt)
            virt.add_foreign(UUID, found.claims.owner, states.RUNNING)
            yield found

    def put(self, pair, launched_at, *paths):
        for path in paths:
            pair.sql(path, 'UPDATE instances SET launched_at = ?, '
                     'revision = revision + 1', launched_at)

    def test_an_instance_whose_lease_is_over_is_stopped(
            self, manager, virt, pair):
        self.put(pair, LONG_AGO, pair.primary, pair.replica)
        ctxt = context.new()
        report = manager._end_leases(ctxt)
        assert (report.candidates, report.acted) == (1, 1)
        assert ctxt.reads.by_role == {'replica': 1}
        assert virt.get_instance(UUID).power_state == states.SHUTDOWN
        assert pair.sql(pair.primary, 'SELECT vm_state, claim_id FROM '
                        'instances') == [('stopped', None)]

    def test_one_that_was_started_anew_is_not_whatever_the_replica_says(
            self, manager, virt, pair):
        self.put(pair, LONG_AGO, pair.primary, pair.replica)
        self.put(pair, NOT_YET, pair.primary)
        report = manager._end_leases(context.new())
        assert (report.candidates, report.lost_races) == (1, 1)
        assert virt.get_instance(UUID).power_state == states.RUNNING

    def test_a_brake_holds_it(self, manager, virt, pair):
        self.put(pair, LONG_AGO, pair.primary, pair.replica)
        while manager.task_memory.of('_end_leases').hourly.take(10):
            pass
        report = manager._end_leases(context.new())
        assert (report.candidates, report.refused) == (1, 1)
        assert virt.get_instance(UUID).power_state == states.RUNNING
        assert pair.sql(pair.primary, 'SELECT claim_id FROM '
                        'instances') == [(None,)]

    def two(self, manager, virt, pair):
        """Two instances whose lease is over."""
        for path in (pair.primary, pair.replica):
            pair.add_instance(path, uuid=OTHER, name='second')
        virt.add_foreign(OTHER, manager.claims.owner, states.RUNNING)
        self.put(pair, LONG_AGO, pair.primary, pair.replica)

    def test_a_freeze_is_reported_and_does_not_end_the_pass(
            self, manager, virt, pair):
        self.two(manager, virt, pair)
        freeze_obj.Freeze.impose(
            context.new(), None, 'disks', 'me', OTHER)
        report = manager._end_leases(context.new())
        assert (report.candidates, report.refused) == (2, 2)
        assert 'frozen' in report.note

    def test_one_that_fails_does_not_keep_the_other(
            self, manager, virt, pair):
        self.two(manager, virt, pair)
        virt.fail_next('power_off', exception.DriverError(reason='disk'))
        report = manager._end_leases(context.new())
        assert (report.acted, report.failed) == (1, 1)

    def test_its_brake_is_not_another_tasks(self, manager, virt, pair):
        self.put(pair, LONG_AGO, pair.primary, pair.replica)
        while manager.task_memory.of('_sync_power_states').hourly.take(10):
            pass
        assert manager._end_leases(context.new()).acted == 1


class TestInstanceFault:
    """At the database, as in a conductor."""

    @pytest.fixture
    def faults(self, tmp_path):
        pair = fixtures.SqlitePair(tmp_path)
        pair.sql(pair.primary, "UPDATE instances SET fault = 'no disk'")
        conf = cfg.ConfigOpts()
        computed_conf.register_opts(conf)
        conf([], default_config_files=[])
        router = router_module.Router(conf.database, pair.url(pair.primary))
        cell.configure(router, lambda: 1000)
        router.incarnation.database_id = cell_database.get_id(context.new())
        with documents.example('fault_object') as found:
            yield found.InstanceFault

    def test_it_is_read_and_cleared(self, faults):
        ctxt = context.new()
        found = faults.get_by_uuid(ctxt, UUID)
        assert (found.fault, found.revision) == ('no disk', 7)
        found.clear()
        assert (found.fault, found.revision) == (None, 8)
        assert ctxt.tokens.of(cell.database_id).revisions == {
            fixtures.HOST: 8}
        again = faults.get_by_uuid(ctxt, UUID)
        assert (again.fault, again.revision) == (None, 8)

    def test_an_old_one_clears_nothing(self, faults):
        ctxt = context.new()
        old = faults.get_by_uuid(ctxt, UUID)
        faults.get_by_uuid(ctxt, UUID).clear()
        with pytest.raises(exception.InstanceChanged):
            old.clear()
        # No revision was given that never was.
        assert ctxt.reads.last.revision == 7
        faults.get_by_uuid(ctxt, UUID)
        assert ctxt.reads.last.revision == 8

    def test_none_in_a_tolerant_context(self, faults):
        found = faults.get_by_uuid(context.new(), UUID)
        found._context = context.RequestContext(lag_tolerant=True)
        with pytest.raises(exception.ReadOnlyScope, match='clear'):
            found.clear()

    def test_it_travels(self, faults):
        ctxt = context.new()
        answer = conductor_manager.ConductorManager(
            replicas=list).object_class_action_versions(
                ctxt, 'InstanceFault', 'get_by_uuid',
                {'InstanceFault': '1.0'}, [UUID], {})
        assert answer.keys() == {'result', 'origin', 'tokens'}
        found = serializer.Serializer().deserialize_entity(
            ctxt, answer['result'])
        assert (found.uuid, found.host, found.fault, found.revision) == (
            UUID, fixtures.HOST, 'no disk', 7)


def test_a_manager_for_oslo_service_runs_unchanged(tmp_path):
    conf = fixtures.make_conf(tmp_path / 'state')
    trash = tmp_path / 'trash'
    trash.mkdir()
    for name in ('old.tmp', 'kept'):
        (trash / name).touch()
    with documents.example('ported') as ported:
        tasks = ported.run(conf, str(trash), 'h1')
        try:
            assert tasks.trigger('_sweep').result(60).outcome == 'ok'
        finally:
            tasks.stop()
    assert [path.name for path in trash.iterdir()] == ['kept']
