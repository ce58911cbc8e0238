"""Import modules with other source than they have: without a guard."""

import importlib.machinery
import pathlib
import sys

from tests.schedules import start

ROOT = start.ROOT / 'computed'


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a module whose source is changed; no compiled file counts."""

    changes: tuple = ()

    def get_code(self, fullname):
        source = pathlib.Path(self.path).read_text(encoding='utf-8')
        for change in self.changes:
            if source.count(change.was) != 1:
                raise ValueError(f'{change.was!r} stands '
                                 f'{source.count(change.was)} times in '
                                 f'{change.file}')
            source = source.replace(change.was, change.becomes)
        return compile(source, self.path, 'exec')


class _Finder:
    """Finds the modules that are changed."""

    def __init__(self, changes):
        self._changes = changes

    def find_spec(self, name, path=None, target=None):
        found = importlib.machinery.PathFinder.find_spec(name, path, target)
        changes = tuple(one for one in self._changes if found is not None and
                        found.origin == str(ROOT / one.file))
        if not changes:
            return None
        found.loader = _Loader(name, found.origin)
        found.loader.changes = changes
        return found


def apply(changes):
    """Change what is imported from now on.

    :param changes: of :class:`.mutations.Mutation`
    """
    sys.meta_path.insert(0, _Finder(changes))
