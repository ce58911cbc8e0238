"""A network of its own for an instance: names, addresses, ``ip`` commands.

With root, a guest with network ``private`` gets a network namespace that a
pair of virtual interfaces joins to the host. Each pair has a /30 of its own
out of 169.254.1.0 - 169.254.127.255: link-local, so never routed, and the
lower half, because clouds keep their metadata services in the upper. That is
room for 8128 guests of a host. Without root a guest has its loopback only.
"""

import dataclasses
import hashlib
import ipaddress
import os
import shutil
import subprocess

from computed import exception

_FIRST = int(ipaddress.IPv4Address('169.254.1.0'))
SLOTS = 127 * 256 // 4
_SYSTEM_PATH = '/usr/sbin:/usr/bin:/sbin:/bin'
_IP_SECONDS = 10


@dataclasses.dataclass(frozen=True)
class Interface:
    """The pair of interfaces of one guest, kept for its whole life.

    :ivar host_device: the host's end
    :ivar device: the guest's end, within its namespace
    :ivar address: of the guest
    :ivar gateway: of the host, in the same /30
    """

    host_device: str
    device: str
    mac: str
    address: str
    gateway: str

    @property
    def network(self):
        """The /30 that both addresses are in."""
        return ipaddress.ip_network(f'{self.address}/30', strict=False)


def plan(uuid, taken):
    """Choose the interface of a guest. Pure.

    :param taken: networks that are in use
    :raises computed.exception.DriverError: no address is left
    """
    digest = hashlib.sha256(uuid.encode()).digest()
    used = {slot for network in taken for slot in _slots(network)}
    first = int.from_bytes(digest[:8], 'big')
    for step in range(SLOTS):
        slot = (first + step) % SLOTS
        if slot not in used:
            return _interface(digest, _FIRST + slot * 4)
    raise exception.DriverError(reason='no address is left for a private '
                                       'network; remove some instances')


def _interface(digest, base):
    return Interface(
        host_device=f'cmp{digest.hex()[:12]}', device='eth0',
        # 02: unicast, administered locally
        mac=':'.join(['02', *(f'{byte:02x}' for byte in digest[-5:])]),
        gateway=str(ipaddress.IPv4Address(base + 1)),
        address=str(ipaddress.IPv4Address(base + 2)))


def _slots(network):
    # Broader routes are whole link-local nets: our /30 wins over them.
    if network.prefixlen < 30:
        return ()
    slot = (int(network.network_address) - _FIRST) // 4
    return (slot,) if 0 <= slot < SLOTS else ()


def parse_routes(text):
    """The networks in ``/proc/net/route``."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        address, mask = (int.from_bytes(bytes.fromhex(fields[at]), 'little')
                         for at in (1, 7))
        found.append(ipaddress.ip_network((address, mask.bit_count())))
    return found


def host_networks():
    """The networks that this host has routes to."""
    with open('/proc/self/net/route', encoding='ascii') as file:
        return parse_routes(file.read())


def available():
    """Whether guests can get interfaces here: that takes root.

    :raises computed.exception.DriverError: root we are, but ``ip`` is missing
    """
    return os.geteuid() == 0 and bool(_ip())


def _ip():
    found = shutil.which('ip', path=_SYSTEM_PATH)
    if found is None:
        raise exception.DriverError(
            reason='a private network takes the program ip; install iproute2')
    return found


def host_commands(interface, program='ip'):
    """What joins the guest to the host; ``{pid}`` is a process of its."""
    return [
        [program, 'link', 'add', interface.host_device, 'type', 'veth',
         'peer', 'name', interface.device, 'address', interface.mac,
         'netns', '{pid}'],
        [program, 'address', 'add', f'{interface.gateway}/30',
         'dev', interface.host_device],
        [program, 'link', 'set', interface.host_device, 'up']]


def guest_commands(interface, program='ip'):
    """What is to be run within the guest's namespace."""
    return [
        [program, 'address', 'add', f'{interface.address}/30',
         'dev', interface.device],
        [program, 'link', 'set', interface.device, 'up'],
        [program, 'route', 'add', 'default', 'via', interface.gateway]]


def request(interface):
    """What the shim has to do for a private network."""
    if interface is None:
        return {'host_commands': [], 'guest_commands': []}
    program = _ip()
    return {'host_commands': host_commands(interface, program),
            'guest_commands': guest_commands(interface, program)}


def prepare(interface):
    """Make sure that the interface can be made.

    :raises computed.exception.DriverError: its address is in use
    """
    remove(interface)
    if any(network.prefixlen >= 30 and network.overlaps(interface.network)
           for network in host_networks()):
        raise exception.DriverError(
            reason=f'address {interface.address} is in use on this host')


def remove(interface):
    """Remove the host's end, and with it the guest's; absent is success.

    The kernel does that by itself when the guest's last process ended, but
    some time later.
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
        said = result.stderr.decode(errors='replace').strip()
        raise exception.DriverError(
            reason=f'interface {interface.host_device} stays: {said}')
