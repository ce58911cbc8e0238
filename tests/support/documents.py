"""The pages below doc/ and the examples they show."""

import contextlib
import importlib
import pathlib
import sys

from oslo_versionedobjects import fixture

ROOT = pathlib.Path(__file__).parents[2]
SOURCE = ROOT / 'doc/source'
EXAMPLES = ROOT / 'doc/examples'


@contextlib.contextmanager
def example(name, folder=EXAMPLES):
    """The module ``doc/examples/NAME.py``, and no trace of it afterwards.

    Objects that it registers are forgotten again: another test counts them.
    """
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        with fixture.VersionedObjectRegistryFixture():
            yield importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))
        for path in folder.glob('*.py'):
            if path.stem not in before:
                sys.modules.pop(path.stem, None)


def extension(name):
    """The same of ``doc/extensions/NAME.py``."""
    return example(name, ROOT / 'doc/extensions')
