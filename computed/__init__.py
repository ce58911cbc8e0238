"""A compute manager that is never wrong because of lag."""

from importlib import metadata

__version__ = metadata.version('computed')
