"""What the installer of Debian packages leaves behind, and what it says."""

import os
import pathlib
import shutil
import subprocess

import pytest

from tests.servers import base

ROOT = pathlib.Path(__file__).parents[3]
UNITS = 'etc/systemd/system/multi-user.target.wants'
# What the scripts of a package with a service do.
APT = """\
#!/bin/sh
set -e
ln -s /lib/new.service "$DPKG_ROOT/{units}/new.service"
ln -s /lib/new.socket "$DPKG_ROOT/{units}/new.socket"
for level in 2 3 4 5; do
    ln -s ../init.d/new "$DPKG_ROOT/etc/rc$level.d/S01new"
done
ln -s ../init.d/early "$DPKG_ROOT/etc/rcS.d/S01early"
ls "$DPKG_ROOT/usr/sbin/policy-rc.d" >&2
exit {status}
"""


@pytest.fixture
def project(tmp_path):
    """A small project with our installer, and a system with a service."""
    (tmp_path / 'tools').mkdir()
    shutil.copy(ROOT / 'tools/debian-packages', tmp_path / 'tools')
    shutil.copy(ROOT / 'Makefile', tmp_path)
    (tmp_path / 'bindep.txt').write_text('no-such-package [test run]\n')
    system = tmp_path / 'system'
    for name in ('usr/sbin', UNITS, *(
            f'etc/rc{level}.d' for level in '2345S')):
        (system / name).mkdir(parents=True)
    (system / UNITS / 'old.service').symlink_to('/lib/old.service')
    for level in '2345':
        (system / f'etc/rc{level}.d/S02old').symlink_to('../init.d/old')
    return tmp_path


def environment(project, **more):
    # A make that runs the tests tells the ones below it that they are not the
    # first, and with which options it runs.
    own = {name: value for name, value in os.environ.items()
           if not name.startswith('MAKE') and name != 'MFLAGS'}
    return {**own, 'DPKG_ROOT': str(project / 'system'),
            'PATH': f'{project}/bin:{base.PATH}', 'CI': '', **more}


def program(project, name, text):
    (project / 'bin').mkdir(exist_ok=True)
    path = project / 'bin' / name
    path.write_text(text)
    path.chmod(0o755)


def enabled(project):
    """The names of what starts with the machine."""
    system = project / 'system'
    return {path.name for path in (system / UNITS).iterdir()} | {
        path.name[3:] for path in system.glob('etc/rc[2-5S].d/S*')}


@pytest.mark.parametrize('status', [0, 1])
def test_what_is_installed_does_not_start_with_the_machine(project, status):
    """Also if apt-get fails in the middle. What started before still does."""
    program(project, 'apt-get', APT.format(units=UNITS, status=status))
    as_root = [] if os.getuid() == 0 else [base.program('unshare'), '-r']
    done = subprocess.run(
        [*as_root, project / 'tools/debian-packages', 'test'],
        capture_output=True, text=True, env=environment(project))
    assert bool(done.returncode) == bool(status), done.stderr
    assert enabled(project) == {'old', 'old.service'}
    assert not (project / 'system/usr/sbin/policy-rc.d').exists()


def test_who_may_not_install_gets_one_line(project):
    """Neither a second line of make, nor a success."""
    program(project, 'id', '#!/bin/sh\necho 1000\n')
    program(project, 'sudo', '#!/bin/sh\nexit 1\n')
    program(project, 'no-venv', '#!/bin/sh\nexit 1\n')
    for target, more in (('run', {'PYTHON': 'no-venv'}),
                         ('test', {'PYTHON': 'no-venv'}),
                         ('debian-packages', {'CI': 'true'})):
        done = subprocess.run(
            [base.program('make'), target], cwd=project, text=True,
            capture_output=True, env=environment(project, **more))
        assert done.returncode != 0
        [line] = (done.stdout + done.stderr).splitlines()
        assert f"Please type: sudo '{project}/tools/debian-packages'" in line
    done = subprocess.run(
        [base.program('make'), 'debian-packages'], cwd=project, text=True,
        capture_output=True, env=environment(project))
    assert (done.returncode, done.stderr.count('\n')) == (0, 1)
