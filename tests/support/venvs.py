"""Wheels, and virtual environments of their own to install them in."""

import pathlib
import site
import subprocess
import sys
import sysconfig
import venv

PIP = (sys.executable, '-P', '-m', 'pip')
OFFLINE = ('--quiet', '--no-deps', '--no-index',
           '--disable-pip-version-check')


def build(source, folder):
    """The wheel of the package in ``source``, made below ``folder``.

    Give it a copy: setuptools leaves ``build`` behind, and packs whatever it
    finds there the next time.
    """
    subprocess.run(
        [*PIP, 'wheel', *OFFLINE, '--no-build-isolation',
         '--wheel-dir', folder, source],
        check=True, capture_output=True, text=True)
    [found] = pathlib.Path(folder).glob('*.whl')
    return found


def create(folder, wheel, *paths):
    """A venv that holds ``wheel``, and sees what else this one holds.

    :param paths: further folders whose modules it sees
    """
    venv.create(folder, with_pip=False, symlinks=True)
    subprocess.run([*PIP, '--python', folder / 'bin/python', 'install',
                    *OFFLINE, wheel], check=True)
    # The .pth files of this venv have no effect in that one, so the editable
    # computed does not come along.
    (packages(folder) / 'dependencies.pth').write_text(
        '\n'.join(map(str, [*site.getsitepackages(), *paths])) + '\n')


def packages(prefix):
    """Where a venv keeps its packages."""
    base = {'base': str(prefix), 'platbase': str(prefix)}
    return pathlib.Path(sysconfig.get_path('purelib', vars=base))
