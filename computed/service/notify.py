"""Messages to systemd (sd_notify(3)); without systemd nothing is sent.

oslo.service can only send READY, only once, and takes the socket away.
"""

import contextlib
import os
import socket

# Seconds to wait for a systemd that does not read.
PATIENCE = 5
# Where systemd listens; of this process alone, not of its children.
VARIABLE = 'NOTIFY_SOCKET'


def notify(**values: object) -> None:
    """Send ``NAME=value`` lines to systemd: ``notify(READY=1)``."""
    address = os.environ.get(VARIABLE)
    if not address:
        return
    if address.startswith('@'):     # the abstract name space
        address = '\0' + address[1:]
    message = '\n'.join(f'{name}={value}' for name, value in values.items())
    with contextlib.suppress(OSError), socket.socket(
            socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
        to.settimeout(PATIENCE)
        to.sendto(message.encode(), address)


def waiting(reason: str, seconds: int) -> None:
    """Tell why the start takes long, and ask for ``seconds`` more."""
    notify(STATUS=reason, EXTEND_TIMEOUT_USEC=int(seconds * 1e6))
