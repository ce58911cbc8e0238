"""Only files whose hash was recorded are installed."""

import configparser
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile

import pytest

from tests.support import venvs
from tools import lockfiles

ROOT = pathlib.Path(__file__).parents[3]
PIN = re.compile(r'([\w.-]+)==(\S+)(?: ;.*)?')
HASH = re.compile(r'    --hash=sha256:[0-9a-f]{64}')


def plain(name):
    return re.sub(r'[-_.]+', '-', name).lower()


def pins(text):
    """``{package: version}`` of the lines of a file."""
    found = {}
    for line in text.splitlines():
        if pin := PIN.fullmatch(line.removesuffix(' \\')):
            assert plain(pin[1]) not in found
            found[plain(pin[1])] = pin[2]
        else:
            assert not line or line.startswith(('#', '-r ', '    --hash='))
    return found


def locked(part):
    return pins((lockfiles.FOLDER / f'{part}.txt').read_text())


def test_every_pinned_version_has_hashes_and_no_other_has():
    found = {}
    for part in lockfiles.PARTS:
        ours = locked(part)
        assert not found.keys() & ours.keys()
        found |= ours
    assert found == pins((ROOT / 'constraints.txt').read_text()), (
        'run: python -P tools/lockfiles.py')


@pytest.mark.parametrize('part', lockfiles.PARTS)
def test_no_package_lacks_a_hash(part):
    text = (lockfiles.FOLDER / f'{part}.txt').read_text()
    for package in re.split(r'\n(?=[\w])', text)[1:]:
        first, *hashes = package.rstrip().split('\n')
        assert first.endswith(' \\') and hashes
        assert all(HASH.fullmatch(one.removesuffix(' \\')) for one in hashes)


def test_what_is_required_is_where_it_is_looked_for():
    setup = configparser.ConfigParser()
    setup.read(ROOT / 'setup.cfg')
    project = tomllib.loads((ROOT / 'pyproject.toml').read_text())

    def names(lines):
        return {plain(re.match(r'[\w.-]+', line)[0]) for line in lines
                if line and not line.startswith('#')}
    build, run = locked('build'), locked('run')
    extra = setup['options.extras_require']['postgresql'].splitlines()
    assert names(project['build-system']['requires']) == build.keys()
    assert names(setup['options']['install_requires'].splitlines()) <= (
        build | run).keys()
    assert names(extra) <= (locked('postgresql') | run).keys()


@pytest.fixture
def clone(tmp_path):
    """A small project with our installer; returns a wheel that it needs."""
    (tmp_path / 'tools').mkdir()
    shutil.copy(ROOT / 'tools/python-packages', tmp_path / 'tools')
    shutil.copy(ROOT / 'pyproject.toml', tmp_path)
    (tmp_path / 'setup.cfg').write_text(
        '[metadata]\nname = small\nversion = 1\n[options]\npackages =\n')
    python = tmp_path / '.venv/bin/python'
    venv.create(tmp_path / '.venv', with_pip=False, symlinks=True)
    # It has setuptools from here, and pip too.
    (venvs.packages(tmp_path / '.venv') / 'here.pth').write_text(
        str(pathlib.Path(sys.modules['pytest'].__file__).parents[1]))
    pip = tmp_path / '.venv/bin/pip'
    pip.write_text(f'#!/bin/sh\nexec {python} -P -m pip "$@"\n')
    pip.chmod(0o755)
    version = subprocess.check_output([python, '--version'], text=True)
    (tmp_path / '.venv/python').write_text(f'{tmp_path}\n{version}')
    return wheel(tmp_path / 'wheels')


def wheel(folder):
    folder.mkdir()
    path = folder / 'needed-1.0-py3-none-any.whl'
    with zipfile.ZipFile(path, 'w') as archive:
        for name, text in (
                ('needed.py', ''),
                ('needed-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\n'
                 'Root-Is-Purelib: true\nTag: py3-none-any\n'),
                ('needed-1.0.dist-info/METADATA',
                 'Metadata-Version: 2.1\nName: needed\nVersion: 1.0\n'),
                ('needed-1.0.dist-info/RECORD', 'needed.py,,\n')):
            archive.writestr(name, text)
    return path


def test_the_installer_takes_no_file_without_a_hash(clone, tmp_path):
    (tmp_path / 'requirements').mkdir()
    (tmp_path / 'requirements/run.txt').write_text('needed==1.0\n')
    done = subprocess.run(
        [tmp_path / 'tools/python-packages'], text=True, capture_output=True,
        timeout=360, env={
            **os.environ, 'PIP_NO_INDEX': '1', 'PIP_CONFIG_FILE': os.devnull,
            'PIP_FIND_LINKS': str(clone.parent), 'PYTHON': sys.executable})
    assert done.returncode != 0
    assert 'needed==1.0 --hash=sha256:' in done.stderr
    assert not (venvs.packages(tmp_path / '.venv') / 'needed.py').exists()
