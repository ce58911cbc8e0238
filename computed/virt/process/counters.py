"""The traffic counters of a guest that has a network of its own."""

from computed.virt import driver
from computed.virt.process import network
from computed.virt.process import proc
from computed.virt.process import state


def parse(text: str) -> dict[str, tuple[int, int, int, int]]:
    """Read the text of ``/proc/PID/net/dev``.

    :returns: ``{device: (rx_bytes, rx_packets, tx_bytes, tx_packets)}``
    """
    found = {}
    for line in text.splitlines()[2:]:      # two lines of headings
        device, _, numbers = line.partition(':')
        fields = [int(number) for number in numbers.split()]
        found[device.strip()] = fields[0], fields[1], fields[8], fields[9]
    return found


def read(uuid: str, interface: network.Interface, run: state.Run,
         boot_id: str) -> driver.InterfaceCounters | None:
    """Return the counters of a guest's interface; None if it does not run.

    They are read in the guest's network namespace, so "received" means
    received by the guest.

    :param run: the last start of the guest
    :param boot_id: of the current boot
    """
    if run.boot_id != boot_id:
        return None
    # Try the shim first: the guest cannot move it to another namespace.
    for process in (run.shim, run.main):
        numbers = _devices_of(process).get(interface.device)
        if numbers is not None:
            rx_bytes, rx_packets, tx_bytes, tx_packets = numbers
            return driver.InterfaceCounters(
                uuid=uuid, device=interface.device,
                mac_address=interface.mac, rx_bytes=rx_bytes,
                tx_bytes=tx_bytes, rx_packets=rx_packets,
                tx_packets=tx_packets,
                # Each start of the guest makes a new namespace.
                epoch=f'{boot_id}/{run.main.pid}/{run.main.start_time}')
    return None


def _devices_of(
        process: proc.Process) -> dict[str, tuple[int, int, int, int]]:
    try:
        with open(f'/proc/{process.pid}/net/dev', encoding='ascii') as file:
            text = file.read()
    except OSError:
        return {}
    # If it still runs now, the text is its own and not that of a process
    # that got the same pid.
    return parse(text) if proc.alive(process) else {}
