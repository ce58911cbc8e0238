"""The units of systemd: shut in as far as their programs allow."""

import configparser
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from tests.servers import base as servers

FOLDER = pathlib.Path(__file__).parents[2] / 'etc' / 'systemd'
CONDUCTOR = FOLDER / 'computed-conductor.service'
HOST = FOLDER / 'computed.service'
ROOT = FOLDER / 'computed-as-root.conf'
# Prints the user ids that guests get.
MEASURE = """
from computed import concurrency
concurrency.choose()
from computed import conf
from computed.virt.process import isolation
conf.register_opts(conf.cfg.CONF)
conf.cfg.CONF([], default_config_files=[])
print(isolation.measure(conf.cfg.CONF).uids)
"""


def unit(path):
    # A name may come twice in a section.
    found = configparser.RawConfigParser(strict=False)
    found.optionxform = str
    found.read(path)
    return found


@pytest.mark.parametrize('path, tenths', [(CONDUCTOR, 50), (HOST, 65)])
def test_a_unit_is_exposed_no_more_than_it_must_be(path, tenths):
    """Below 5 systemd says OK; guests of the host need namespaces."""
    done = subprocess.run(
        [servers.program('systemd-analyze'), 'security', '--offline=true',
         f'--threshold={tenths}', str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-200:] + done.stderr


def test_systemd_understands_every_line(tmp_path):
    """The programs need not be installed for this."""
    for path in (CONDUCTOR, HOST):
        (tmp_path / path.name).write_text(re.sub(
            'ExecStart=.*', f'ExecStart={shutil.which("true")}',
            path.read_text()))
    (tmp_path / f'{HOST.name}.d').mkdir()
    (tmp_path / f'{HOST.name}.d' / ROOT.name).write_text(ROOT.read_text())
    done = subprocess.run(
        [servers.program('systemd-analyze'), 'verify', '--man=no',
         '--recursive-errors=no',
         *(str(tmp_path / path.name) for path in (CONDUCTOR, HOST))],
        capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, '')


def test_a_host_ends_before_its_conductor():
    """systemd ends in the reverse of the order in which it starts."""
    assert CONDUCTOR.name in unit(HOST)['Unit']['After'].split()


@pytest.mark.parametrize('path', [CONDUCTOR, HOST])
def test_both_units_use_the_same_user_and_folders(path):
    service = unit(path)['Service']
    assert (service['User'], service['StateDirectory'],
            service['RuntimeDirectory'], service['LogsDirectory'],
            service['UMask']) == (
        'computed', 'computed', 'computed', 'computed', '0077')
    # Else the end of one removes the sockets of the other.
    assert service['RuntimeDirectoryPreserve'] == 'yes'
    assert '/bin/kill' not in service['ExecReload']
    [name, user, *_] = [
        line.split() for line in (FOLDER.parent / 'sysusers.d' /
                                  'computed.conf').read_text().splitlines()
        if not line.startswith('#')][0]
    assert (name, user) == ('u', 'computed')


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which('setpriv'),
                    reason='only root can, with setpriv')
def test_as_root_with_its_own_lines_each_guest_gets_a_user_id():
    service = {**unit(HOST)['Service'], **unit(ROOT)['Service']}
    assert (service['User'], service['Group']) == ('root', 'root')
    # As systemd reads them: none, or all but none.
    bounding = {'': '-all', '~': '+all'}[service['CapabilityBoundingSet']]
    assert service['NoNewPrivileges'] == 'yes'
    done = subprocess.run(
        ['setpriv', f'--bounding-set={bounding}', '--no-new-privs',
         sys.executable, '-P', '-c', MEASURE], capture_output=True, text=True)
    assert done.stdout.startswith('range('), done.stderr
