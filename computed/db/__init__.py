"""Everything that knows SQL. Modules load at first use.

A host imports objects, and objects name queries; but a host runs none of
them, so it must not pay for (or have) SQLAlchemy.
"""

import importlib


def __getattr__(name):
    full = f'{__name__}.{name}'
    try:
        return importlib.import_module(full)
    except ModuleNotFoundError as error:
        if error.name != full:
            raise
        raise AttributeError(name) from None
