"""Make the private network of a guest."""

import fcntl
import os
import socket
import struct

from . import jail
from . import system

_SIOCSIFFLAGS = 0x8914
_IFF_UP_RUNNING = 0x41


class Refused(Exception):
    """The kernel refuses a private network."""


def make(network: dict, launcher: socket.socket) -> None:
    """Enter a new network namespace and have the launcher connect it.

    :raises Refused: the kernel makes no such namespace
    :raises OSError: any other failure
    """
    try:
        if os.geteuid() != 0 and not jail.in_user_namespace():
            jail.enter_user_namespace()
        system.call('unshare', system.CLONE_NEWNET)
        _raise_loopback()
    except OSError as error:
        raise Refused(f'the kernel refuses a private network: '
                      f'{error.strerror}') from error
    _open_low_ports()
    if network['host_commands']:
        launcher.sendall(f'unshared {system.host_pid()}\n'.encode())
        if launcher.recv(16) != b'go\n':
            raise OSError('the launcher gave up')
    system.run_all(network['guest_commands'])


def _raise_loopback() -> None:
    """Set the loopback interface of this namespace up."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS,
                    struct.pack('16sh14x', b'lo', _IFF_UP_RUNNING))


def _open_low_ports() -> None:
    """Let the guest serve every port of its own network.

    It has no capability, and needs none for its own addresses.
    """
    path = '/proc/sys/net/ipv4/ip_unprivileged_port_start'
    try:
        with open(path, 'w', encoding='ascii') as file:
            file.write('0')
    except OSError:
        pass        # a container with a read-only /proc/sys
