"""The bytes that a guest with a network of its own has carried."""

from computed.virt import driver
from computed.virt.process import proc


def parse(text):
    """What ``/proc/PID/net/dev`` says, by device.

    :returns: ``{device: (rx_bytes, rx_packets, tx_bytes, tx_packets)}``
    """
    found = {}
    for line in text.splitlines()[2:]:      # two lines of headings
        device, _, numbers = line.partition(':')
        fields = [int(number) for number in numbers.split()]
        found[device.strip()] = fields[0], fields[1], fields[8], fields[9]
    return found


def read(uuid, interface, run, boot_id):
    """The counters of a guest's interface; None if it does not run.

    They are read within the guest's namespace, so its direction is ours.

    :type interface: computed.virt.process.network.Interface
    :type run: computed.virt.process.state.Run
    :param boot_id: of this boot
    """
    if run.boot_id != boot_id:
        return None
    # The shim first: nothing that the guest does takes it elsewhere.
    for process in (run.shim, run.main):
        numbers = _devices_of(process).get(interface.device)
        if numbers is not None:
            rx_bytes, rx_packets, tx_bytes, tx_packets = numbers
            return driver.InterfaceCounters(
                uuid=uuid, device=interface.device,
                mac_address=interface.mac, rx_bytes=rx_bytes,
                tx_bytes=tx_bytes, rx_packets=rx_packets,
                tx_packets=tx_packets,
                # The namespace begins with the run.
                epoch=f'{boot_id}/{run.main.pid}/{run.main.start_time}')
    return None


def _devices_of(process):
    try:
        with open(f'/proc/{process.pid}/net/dev', encoding='ascii') as file:
            text = file.read()
    except OSError:
        return {}
    # Only if it is still there was it this process that was read.
    return parse(text) if proc.alive(process) else {}
