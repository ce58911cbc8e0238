"""Every error of computed. The docstring of a class is its message.

The details of an error are keyword arguments. Only they cross the wire, so a
message must not use anything else.
"""

# noqa of each line: this package has the names of all its modules.
from computed.exception.base import *  # noqa: F403
from computed.exception.claims import *  # noqa: F403
from computed.exception.database import *  # noqa: F403
from computed.exception.drivers import *  # noqa: F403
from computed.exception.instances import *  # noqa: F403
from computed.exception.rpc import *  # noqa: F403
from computed.exception.start import *  # noqa: F403
from computed.exception.volumes import *  # noqa: F403

# The wire names this package, so an error may move from module to module.
for _error in list(vars().values()):
    if isinstance(_error, type):
        _error.__module__ = __name__
