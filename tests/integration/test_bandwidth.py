"""What counting bytes costs on real MariaDB, by the servers' own logs."""

import pytest

from computed import context
from computed.objects import bandwidth as bandwidth_obj
from tests.integration import test_replication as replication

side = replication.side
UUID = '00000000-0000-4000-8000-{:012}'


def carry(virt, count, number):
    for guest in range(count):
        for mac in ('02:01', '02:02'):
            virt.set_counters(UUID.format(guest), mac, number, number)


def writes_and_reads(statements):
    """Leave out the question whether the server is the primary."""
    return [text for text in statements
            if text.startswith(('INSERT', 'SELECT', 'UPDATE', 'DELETE')) and
            'read_only' not in text]


@pytest.mark.parametrize('count', [100, 500])
def test_a_pass_over_instances_with_two_interfaces_each(
        side, database, count):
    found, virt = replication.managed(side, count)
    carry(virt, count, 1000)
    database.caught_up()
    counted = replication.Counted(side, database)
    # The first pass knows no rows: one SELECT, one upsert.
    counted.start()
    assert found._poll_bandwidth_usage(context.new()).recorded == 2 * count
    assert counted.calls == 2
    first = writes_and_reads(counted.on_primary)
    assert [text.split()[0] for text in first] == ['SELECT', 'INSERT']
    assert counted.on_replicas == []
    # The next ones know them: one upsert.
    carry(virt, count, 1500)
    counted.start()
    assert found._poll_bandwidth_usage(context.new()).recorded == 2 * count
    assert counted.calls == 1
    assert [text.split()[0] for text in writes_and_reads(
        counted.on_primary)] == ['INSERT']
    primary = database.cluster.primary
    assert primary.sql(
        'SELECT COUNT(*), MIN(bw_in), MAX(bw_out) FROM '
        f'{database.name}.bandwidth_usage') == [(2 * count, 1500, 1500)]


def test_a_late_write_never_undoes_a_newer_one(side, database):
    values = {'uuid': UUID.format(1), 'mac_address': '02:01',
              'start_period': 0, 'bw_out': 1, 'last_ctr_in': 1,
              'last_ctr_out': 1, 'last_epoch': 'a'}
    replication.create_host(side)
    for refreshed, bytes_in, stands in (
            (5, 50, 50), (4, 40, 50), (5, 55, 50), (6, 60, 60)):
        bandwidth_obj.BandwidthUsageList.record(context.new(), [
            {**values, 'bw_in': bytes_in, 'last_refreshed': refreshed}])
        [row] = bandwidth_obj.BandwidthUsageList.get_by_uuid(
            context.new(), UUID.format(1), 5)
        assert row.bw_in == stands
