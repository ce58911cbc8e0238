"""Packages whose modules load at first use.

Objects name queries, and every host imports objects. But a host runs no
query, so it must not load SQLAlchemy, which may not even be installed there.
"""

import importlib
import types
from collections import abc


def modules(package: str) -> abc.Callable[[str], types.ModuleType]:
    """Make the ``__getattr__`` of a package that loads its modules lazily.

    :param package: the package's ``__name__``
    """
    def __getattr__(name: str) -> types.ModuleType:
        full = f'{package}.{name}'
        try:
            return importlib.import_module(full)
        except ModuleNotFoundError as error:
            if error.name != full:
                raise
            raise AttributeError(
                f'module {package} has no attribute {name}') from None
    return __getattr__
