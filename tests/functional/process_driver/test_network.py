"""Test private networks and their counters."""

import json
import os
import pathlib
import socket

import pytest

from computed import exception
from computed.virt.process import network
from tests.support import driver_contract
from tests.support import process_guests as real
from tests.support import waiting

claim_on = driver_contract.claim_on

# -- a network of its own

def test_a_private_network_is_not_the_hosts(guests, private):
    guest = private()
    assert os.readlink(f'/proc/{guests.pid(guest)}/ns/net') != \
        os.readlink('/proc/self/ns/net')
    routes = pathlib.Path(f'/proc/{guests.pid(guest)}/net/dev').read_text()
    assert 'lo:' in routes


def test_the_loopback_of_a_private_network_works(guests, private):
    guest = private(real.python(
        "import socket; s = socket.create_server(('127.0.0.1', 0));"
        'socket.create_connection(s.getsockname());'
        "print('connected', flush=True)"))
    guests.wait_for_output(guest, 'connected')


@real.needs_veth
def test_a_guest_is_reached_at_its_address_also_after_a_restart(
        guests, private):
    guest = private(real.python(
        "import socket; s = socket.create_server(('0.0.0.0', 80));"
        'import fcntl, struct;'
        "mac = fcntl.ioctl(s, 0x8927, struct.pack('256s', b'eth0'))"
        "[18:24].hex(':');"
        "print('up', flush=True);"
        's.accept()[0].sendall(mac.encode())'))
    before = guests.info(guest).details['interfaces']
    for starts in (1, 2):
        waiting.wait_for(lambda starts=starts: guests.driver.console_log(
            guest, 1000).count('up') == starts)
        [interface] = guests.info(guest).details['interfaces']
        with socket.create_connection((interface['address'], 80),
                                      timeout=5) as connection:
            assert connection.recv(100).decode() == interface['mac']
        guests.driver.reboot(claim_on(guest), True, 0)
    assert guests.info(guest).details['interfaces'] == before


@real.needs_veth
def test_guests_have_addresses_of_their_own(guests, private):
    found = [guests.info(private()).details['interfaces'][0]
             for _ in range(3)]
    for name in ('address', 'mac'):
        assert len({interface[name] for interface in found}) == 3


@real.needs_veth
@pytest.mark.parametrize('change', ['power_off', 'destroy'])
def test_the_interface_goes_with_the_guest(
        guests, private, planned, change):
    guest = private()
    assert len(real.present(planned)) == 1
    driver_contract.CHANGES[change](guests.driver, claim_on(guest))
    assert real.present(planned) == []


@real.needs_veth
def test_a_private_network_that_cannot_be_made_leaves_nothing(
        guests, private, planned, root, monkeypatch):
    guests.driver.destroy(claim_on(private()))
    original = network.guest_commands
    monkeypatch.setattr(
        network, 'guest_commands',
        lambda *args: [
            *original(*args), ['ip', 'link', 'set', 'nothing', 'up']])
    with pytest.raises(exception.DriverError, match='nothing') as caught:
        guests.spawn(network='private')
    assert '\n' not in str(caught.value)
    assert real.left_of(root) == []
    assert real.groups_of(root) == []
    assert real.processes_of(root) == []
    assert len(planned) == 2
    assert real.present(planned) == []


@real.needs_veth
def test_a_missing_ip_program_is_named(guests, root, monkeypatch):
    monkeypatch.setattr(network, '_SYSTEM_PATH', str(root))
    with pytest.raises(exception.DriverError, match='install iproute2'):
        guests.spawn(network='private')
    assert real.left_of(root) == []


# -- bytes of an interface

@real.needs_veth
def test_bytes_are_counted_exactly_in_the_direction_of_the_guest(
        guests, echo):
    guest, device = echo
    [before] = guests.driver.interface_counters([guest])
    [interface] = guests.info(guest).details['interfaces']
    assert (before.uuid, before.device, before.mac_address) == (
        guest, interface['device'], interface['mac'])
    real.send_frames(device, 7)
    sent_back = waiting.wait_for(
        lambda: (found := guests.driver.interface_counters()[0]).tx_packets
        == before.tx_packets + 7 and found)
    assert sent_back.rx_bytes - before.rx_bytes == 700
    assert sent_back.tx_bytes - before.tx_bytes == 700
    assert sent_back.rx_packets - before.rx_packets == 7
    assert sent_back.epoch == before.epoch


@real.needs_veth
def test_counters_restart_with_each_start_and_end_with_the_guest(
        guests, private):
    guest = private()
    [before] = guests.driver.interface_counters([guest])
    guests.driver.reboot(claim_on(guest), True, 0)
    [after] = guests.driver.interface_counters([guest])
    assert after.epoch != before.epoch
    assert after.mac_address == before.mac_address
    guests.driver.pause(claim_on(guest))
    [paused] = guests.driver.interface_counters([guest])
    assert paused.epoch == after.epoch
    guests.driver.power_off(claim_on(guest), 0)
    assert guests.driver.interface_counters([guest]) == []


@real.needs_veth
def test_a_run_of_an_earlier_boot_has_no_counters(guests, private):
    guest = private()
    run = guests.run(guest)
    guests.replace_run(guest, boot_id='another')
    assert guests.driver.interface_counters([guest]) == []
    guests.replace_run(guest, **{
        **run, 'start_time': run['start_time'] + 1,
        'shim_start_time': run['shim_start_time'] + 1})
    assert guests.driver.interface_counters([guest]) == []
    guests.replace_run(guest, **run)
    assert len(guests.driver.interface_counters([guest])) == 1


@real.needs_veth
def test_damage_in_one_folder_hides_no_other_guests_counters(
        guests, private, root):
    damaged, good = private(), private()
    run = guests.run(damaged)
    (root / damaged / 'run.json').write_text('?')
    [found] = guests.driver.interface_counters()
    assert found.uuid == good
    (root / damaged / 'run.json').write_text(json.dumps(run))
