"""What counting volumes costs, by the servers' own logs, and its guard."""

from computed import context
from computed.db.cell import storage
from computed.objects import volume_usage as usage_obj
from computed.virt import driver
from tests.integration import test_bandwidth as bandwidth
from tests.integration import test_replication as replication

side = replication.side
GUESTS, EACH = 100, 10
VOLUME = '00000000-0000-4000-9000-{:012}'


def attached(database, virt):
    """Give each guest its volumes, in the database too."""
    values = []
    for number in range(GUESTS * EACH):
        guest = bandwidth.UUID.format(number % GUESTS)
        volume = VOLUME.format(number)
        values.append(f"('{volume}', '{volume}', '{guest}', 'attached', "
                      "'2026-01-01')")
        virt._guests.attach(guest, driver.Volume(volume, volume, volume))
        virt.use_volume(guest, volume, rd_bytes=number)
    database.cluster.primary.sql(
        f'INSERT INTO {database.name}.block_device_mapping VALUES '
        + ', '.join(values))


def test_1000_volumes_are_one_read_on_a_replica_and_one_write(side, database):
    found, virt = replication.managed(side, GUESTS)
    attached(database, virt)
    database.caught_up()
    counted = replication.Counted(side, database)
    for _ in range(2):
        counted.start()
        report = found._poll_volume_usage(context.new())
        assert report.recorded == GUESTS * EACH
        assert counted.calls == 2
        assert [text.split()[0] for text in bandwidth.writes_and_reads(
            counted.on_primary)] == ['INSERT']
        assert len([text for text in counted.on_replicas
                    if 'block_device_mapping' in text]) == 1
        database.caught_up()
    assert database.cluster.primary.sql(
        'SELECT COUNT(*), SUM(rd_bytes), MAX(base_refreshed) > 0 FROM '
        f'{database.name}.volume_usage') == [(1000, 999 * 500, 1)]


def test_a_row_replaces_only_the_one_that_it_rests_on(side, database):
    replication.create_host(side)
    names = storage.tables.VolumeUsage.__table__.columns.keys()
    for base, refreshed, count, stands in (
            (0, 5, 50, 50),     # the first one
            (0, 6, 60, 50),     # read before the first one was written
            (5, 7, 70, 70), (5, 8, 80, 70),
            (7, 7, 71, 71),     # the clock stands still
            (7, 9, 90, 90), (7, 9, 90, 90)):
        usage_obj.VolumeUsageList.record(context.new(), [{
            **dict.fromkeys(names, count), 'volume_id': VOLUME.format(1),
            'instance_uuid': bandwidth.UUID.format(1), 'last_epoch': 'e',
            'last_refreshed': refreshed, 'base_refreshed': base}])
        found = usage_obj.VolumeUsageList.get_recorded(
            context.new(), bandwidth.UUID.format(1), 5, use_slave=False)
        assert [row.rd_bytes for row in found] == [stands]


