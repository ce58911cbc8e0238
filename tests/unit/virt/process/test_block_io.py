"""What the text of io.stat says, and what nobody can tell."""

import os
import stat
import uuid

import pytest

from computed.virt.process import block_io
from computed.virt.process import cgroups
from computed.virt.process import folder

TEXT = """\
8:0 rbytes=90112 wbytes=4096 rios=12 wios=1 dbytes=0 dios=0
254:0
7:1 rbytes=16384 wbytes=0 rios=4 wios=0 dbytes=0 dios=0
"""
DEVICE = [stat.S_IFBLK, os.makedev(7, 1), 0]


def counters(rd_req, rd_bytes, wr_req=0, wr_bytes=0, **more):
    return {'rd_req': rd_req, 'rd_bytes': rd_bytes, 'wr_req': wr_req,
            'wr_bytes': wr_bytes, **more}


def test_each_device_has_a_line():
    assert block_io.parse(TEXT, '8:0') == counters(12, 90112, 1, 4096)
    assert block_io.parse(TEXT, '254:0') == {}
    assert block_io.parse(TEXT, '7:0') == {}


@pytest.fixture
def group(tmp_path):
    """The guest's folder, and hierarchies with a group of the guest."""
    guest = folder.Folder(str(tmp_path), str(uuid.uuid4()))
    hierarchies = (cgroups.Hierarchy(str(tmp_path), 2, frozenset(['io'])),)
    return guest, hierarchies


def read(group, identity=DEVICE):
    return block_io.read(group[0], identity, group[1])


def test_a_group_is_read_and_its_folder_is_the_epoch(group):
    assert read(group) == counters(0, 0, epoch='')
    [path] = cgroups.paths_of(*group)
    os.mkdir(path)
    with open(f'{path}/io.stat', 'w') as file:
        file.write(TEXT)
    found = read(group)
    assert found == counters(4, 16384, epoch=found['epoch'])
    assert found['epoch'].endswith(f'/{os.stat(path).st_ino}')


def test_a_file_and_a_host_that_does_not_count_are_unknown(group):
    assert read(group, [stat.S_IFREG, os.makedev(7, 1), 5]) is None
    guest, [hierarchy] = group
    silent = hierarchy._replace(controllers=frozenset(['memory']))
    assert read((guest, (silent,))) is None
    assert not block_io.counted([silent])
    assert block_io.counted([hierarchy])


def test_counting_begins_where_the_volume_was_attached():
    base = counters(4, 16384, epoch='a')
    now = counters(9, 20480, 1, 512, epoch='a')
    assert block_io.since(base, now) == counters(5, 4096, 1, 512)
    # Another group: it began at zero after the volume was attached.
    assert block_io.since({**base, 'epoch': 'b'}, now) == (
        counters(9, 20480, 1, 512))
    assert block_io.since(None, now) == counters(9, 20480, 1, 512)
