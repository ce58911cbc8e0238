"""The private network of a guest: names, addresses, ``ip`` commands.

If the daemon runs as root, a guest with network ``private`` gets a network
namespace, and a pair of virtual interfaces connects that to the host. Each
pair has a /30 out of 169.254.1.0 - 169.254.127.255, which is room for 8128
guests on a host. These addresses are link-local, so no router forwards them.
The upper half is not used because clouds have their metadata services there.

Without root a guest has only its loopback.
"""

import dataclasses
import hashlib
import ipaddress
import os
import shutil
import subprocess
from collections import abc

from computed import exception

_FIRST = int(ipaddress.IPv4Address('169.254.1.0'))
SLOTS = 127 * 256 // 4
_SYSTEM_PATH = '/usr/sbin:/usr/bin:/sbin:/bin'
_IP_SECONDS = 10


@dataclasses.dataclass(frozen=True)
class Interface:
    """The pair of interfaces of one guest. It never changes.

    :ivar host_device: the name of the end on the host
    :ivar device: the name of the end in the guest's namespace
    :ivar address: of the guest
    :ivar gateway: the address of the host, in the same /30
    """

    host_device: str
    device: str
    mac: str
    address: str
    gateway: str

    @property
    def network(self) -> ipaddress.IPv4Network:
        """Return the /30 that contains both addresses."""
        return ipaddress.IPv4Network(f'{self.address}/30', strict=False)


def plan(uuid: str,
         taken: abc.Iterable[ipaddress.IPv4Network]) -> Interface:
    """Choose the names and addresses of a guest. Pure.

    :param taken: networks that are in use
    :raises computed.exception.DriverError: all addresses are in use
    """
    digest = hashlib.sha256(uuid.encode()).digest()
    used = {slot for network in taken for slot in _slots(network)}
    first = int.from_bytes(digest[:8], 'big')
    for step in range(SLOTS):
        slot = (first + step) % SLOTS
        if slot not in used:
            return _interface(digest, _FIRST + slot * 4)
    raise exception.DriverError(reason='no address is left for a private '
                                       'network; delete some instances')


def _interface(digest: bytes, base: int) -> Interface:
    return Interface(
        host_device=f'cmp{digest.hex()[:12]}', device='eth0',
        # 02: unicast, administered locally
        mac=':'.join(['02', *(f'{byte:02x}' for byte in digest[-5:])]),
        gateway=str(ipaddress.IPv4Address(base + 1)),
        address=str(ipaddress.IPv4Address(base + 2)))


def _slots(network: ipaddress.IPv4Network) -> tuple[int, ...]:
    # A larger network is the route of a whole link-local net. The route of
    # a /30 takes precedence over it.
    if network.prefixlen < 30:
        return ()
    slot = (int(network.network_address) - _FIRST) // 4
    return (slot,) if 0 <= slot < SLOTS else ()


def parse_routes(text: str) -> list[ipaddress.IPv4Network]:
    """Return the networks in the text of ``/proc/net/route``."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        address, mask = (int.from_bytes(bytes.fromhex(fields[at]), 'little')
                         for at in (1, 7))
        found.append(ipaddress.IPv4Network((address, mask.bit_count())))
    return found


def host_networks() -> list[ipaddress.IPv4Network]:
    """Return the networks that this host has routes to."""
    with open('/proc/self/net/route', encoding='ascii') as file:
        return parse_routes(file.read())


def available() -> bool:
    """Return whether guests can get interfaces here, which needs root.

    :raises computed.exception.DriverError: we are root, but the program
        ``ip`` is missing
    """
    return os.geteuid() == 0 and bool(_ip())


def _ip() -> str:
    found = shutil.which('ip', path=_SYSTEM_PATH)
    if found is None:
        raise exception.DriverError(
            reason='a private network needs the program ip; install iproute2')
    return found


def host_commands(interface: Interface,
                  program: str = 'ip') -> list[list[str]]:
    """Return the commands to run on the host.

    ``{pid}`` stands for a process in the guest's namespace, as ``/proc`` of
    the host names it. A path, because some releases of ``ip`` look for a bare
    number in ``/proc`` and others in the process namespace of ``ip`` itself.
    """
    return [
        [program, 'link', 'add', interface.host_device, 'type', 'veth',
         'peer', 'name', interface.device, 'address', interface.mac,
         'netns', '/proc/{pid}/ns/net'],
        [program, 'address', 'add', f'{interface.gateway}/30',
         'dev', interface.host_device],
        [program, 'link', 'set', interface.host_device, 'up']]


def guest_commands(interface: Interface,
                   program: str = 'ip') -> list[list[str]]:
    """Return the commands to run in the guest's namespace."""
    return [
        [program, 'address', 'add', f'{interface.address}/30',
         'dev', interface.device],
        [program, 'link', 'set', interface.device, 'up'],
        [program, 'route', 'add', 'default', 'via', interface.gateway]]


def request(interface: Interface | None) -> dict[str, list[list[str]]]:
    """Return the commands with which the shim makes a private network."""
    if interface is None:
        return {'host_commands': [], 'guest_commands': []}
    program = _ip()
    return {'host_commands': host_commands(interface, program),
            'guest_commands': guest_commands(interface, program)}


def prepare(interface: Interface) -> None:
    """Make sure that the interface can be made.

    :raises computed.exception.DriverError: its address is in use
    """
    remove(interface)
    if any(network.prefixlen >= 30 and network.overlaps(interface.network)
           for network in host_networks()):
        raise exception.DriverError(
            reason=f'address {interface.address} is in use on this host')


def remove(interface: Interface) -> None:
    """Remove both ends of the pair; absent ones are success.

    The kernel does that too, some time after the guest's last process ended.

    :raises computed.exception.DriverError: they are still there
    """
    path = f'/sys/class/net/{interface.host_device}'
    if not os.path.exists(path):
        return
    try:
        result = subprocess.run(
            [_ip(), 'link', 'delete', interface.host_device], check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, timeout=_IP_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise exception.DriverTimeout(
            timeout=_IP_SECONDS,
            operation=f'remove interface {interface.host_device}') from error
    if result.returncode and os.path.exists(path):
        text = result.stderr.decode(errors='replace').strip()
        raise exception.DriverError(
            reason=f'interface {interface.host_device} cannot be removed: '
                   f'{text}')
