"""Write ``requirements/``: each pinned package with the hashes of its files.

``python -P tools/lockfiles.py`` needs the program ``uv``, and asks the public
index. It takes the versions from ``constraints.txt``, and the packages that a
part needs from ``setup.cfg`` and ``pyproject.toml``. It writes the hashes of
every file of a version, so they hold for each Python and each machine.
"""

import pathlib
import re
import subprocess
import tomllib
import typing

ROOT = pathlib.Path(__file__).parents[1]
FOLDER = ROOT / 'requirements'
# The oldest Python. Markers say what only newer ones need.
PYTHON = '3.11'
HEADER = """\
# Made by tools/lockfiles.py from constraints.txt; do not edit.
"""


class Part(typing.NamedTuple):
    """One file.

    :ivar extra: the extra of setup.cfg that it is for; ``build``: the backend
        of pyproject.toml; None: the package itself
    :ivar includes: the files that it includes, and does not repeat
    :ivar without: files whose packages it does not repeat either, because
        it is installed with one that includes them
    """

    extra: str | None
    includes: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


PARTS = {
    'build': Part('build'),
    'run': Part(None, ('build',)),
    'postgresql': Part('postgresql', (), ('build', 'run')),
    'test': Part('test', ('run', 'postgresql'), ('build',)),
}


def compiled(extra: str | None) -> dict[str, str]:
    """Return what a part needs: ``{package: its lines}``.

    :raises subprocess.CalledProcessError: for example, a version is not
        pinned, or the index does not answer
    """
    source, text = ['setup.cfg', *(['--extra', extra] if extra else [])], ''
    if extra == 'build':
        project = tomllib.loads((ROOT / 'pyproject.toml').read_text())
        source, text = ['-'], '\n'.join(project['build-system']['requires'])
    done = subprocess.run(
        ['uv', 'pip', 'compile', '--quiet', '--universal', '--no-header',
         '--no-annotate', '--generate-hashes', '--python-version', PYTHON,
         '--constraint', 'constraints.txt', *source],
        cwd=ROOT, input=text, text=True, stdout=subprocess.PIPE, check=True)
    return {block.partition('==')[0]: block
            for block in re.split(r'\n(?=\S)', done.stdout.rstrip())}


def main() -> None:
    """Write all files."""
    found = {name: compiled(part.extra) for name, part in PARTS.items()}
    FOLDER.mkdir(exist_ok=True)
    for name, part in PARTS.items():
        known = {package for other in (*part.includes, *part.without)
                 for package in found[other]}
        lines = [f'-r {other}.txt' for other in part.includes] + [
            block for package, block in found[name].items()
            if package not in known]
        (FOLDER / f'{name}.txt').write_text(
            HEADER + '\n'.join(lines) + '\n')


if __name__ == '__main__':
    main()
