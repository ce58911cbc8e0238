"""Native threads: chosen here, before any other oslo import.

oslo.messaging freezes oslo.service's backend the moment it is imported, and
freezes the wrong one (eventlet) unless somebody chose before. So every
program, and the test suite, calls :func:`choose` on its first line.
"""

import sys


def choose():
    """Make this process use native threads.

    Eventlet is hidden, because some libraries import it merely because it is
    installed, and print eight lines of deprecation for it. Calling twice is
    harmless.

    :raises oslo_service.backend.exceptions.BackendAlreadySelected: another
        import came first and chose another backend.
    """
    sys.modules.setdefault('eventlet', None)    # type: ignore[arg-type]
    from oslo_service import backend  # must come after the line above
    backend.init_backend(backend.BackendType.THREADING)
