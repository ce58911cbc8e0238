import ipaddress
import uuid

import pytest

from computed import exception
from computed.virt.process import network

GUEST = '6d1e3a52-5d0f-4b7e-9f0e-0c8a4b1f7a11'
RANGE = ipaddress.ip_network('169.254.0.0/17')

ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU
eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0000FEA9\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
cmp1\t0405FEA9\t00000000\t0001\t0\t0\t0\tFCFFFFFF\t0\t0\t0
"""


def test_a_guest_gets_the_same_addresses_each_time():
    first, second = (network.plan(GUEST, []) for _ in range(2))
    assert first == second


def test_both_ends_are_in_one_network_of_the_range():
    planned = network.plan(GUEST, [])
    ends = [ipaddress.ip_address(address)
            for address in (planned.gateway, planned.address)]
    assert list(planned.network.hosts()) == ends
    assert planned.network.subnet_of(RANGE)


def test_names_and_macs_are_valid_for_the_kernel():
    planned = network.plan(GUEST, [])
    assert len(planned.host_device) <= 15
    octets = planned.mac.split(':')
    assert len(octets) == 6
    assert octets[0] == '02'


def test_a_network_in_use_is_skipped():
    first = network.plan(GUEST, [])
    second = network.plan(GUEST, [first.network])
    assert not second.network.overlaps(first.network)
    assert (second.mac, second.host_device) == (first.mac, first.host_device)


def test_a_route_to_one_address_blocks_its_network():
    first = network.plan(GUEST, [])
    host = ipaddress.ip_network(f'{first.address}/32')
    assert network.plan(GUEST, [host]).network != first.network


@pytest.mark.parametrize('route', ['169.254.0.0/16', '169.254.103.0/24'])
def test_a_route_to_a_larger_network_blocks_nothing(route):
    guest = '00000000-0000-0000-0000-000000000013'
    planned = network.plan(guest, [ipaddress.ip_network(route)])
    assert str(planned.network) == '169.254.103.0/30'


def test_all_networks_are_used_before_a_plan_is_refused():
    taken = []
    for _ in range(network.SLOTS - 1):
        taken.append(ipaddress.ip_network(
            (network._FIRST + len(taken) * 4, 30)))
    last = network.plan(GUEST, taken).network
    assert last not in taken
    assert last.subnet_of(RANGE)
    with pytest.raises(exception.DriverError, match='no address is left'):
        network.plan(str(uuid.uuid4()), [*taken, last])


def test_routes_are_read_with_their_bytes_in_order():
    assert network.parse_routes(ROUTES) == [
        ipaddress.ip_network(text) for text in (
            '0.0.0.0/0', '169.254.0.0/16', '169.254.5.4/30')]
