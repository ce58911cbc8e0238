"""The values that a hypervisor driver takes and returns.

Import them from :mod:`computed.virt.driver`.
"""

import dataclasses
import typing

from computed.virt import claim as virt_claim


@dataclasses.dataclass(frozen=True)
class InstanceInfo:
    """One guest, as the hypervisor has it now.

    :ivar uuid: the uuid of its instance
    :ivar power_state: a power state of ``computed.states``; ``NOSTATE`` if
        the guest exists but the driver cannot tell its state
    :ivar reason: why the guest is in this state, as text for an operator;
        None if the driver does not know
    :ivar exit_code: the exit code of a guest that ended, negative for the
        number of a signal; None if the guest runs or the code is not known
    :ivar owner: the owner that the guest carries; None if it carries none
    :ivar details: more facts to show to an operator, by name: ``pid``,
        ``interfaces`` ... Values must have a form in JSON.
    """

    uuid: str
    power_state: int
    reason: str | None = None
    exit_code: int | None = None
    owner: virt_claim.Owner | None = None
    details: dict[str, typing.Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """All guests of this host.

    :ivar complete: whether the driver could list every guest. Only then
        does a missing uuid mean that the guest is absent.
    :ivar instances: the guests, by uuid
    """

    complete: bool
    instances: dict[str, InstanceInfo]


@dataclasses.dataclass(frozen=True)
class InstanceSpec:
    """The guest to make.

    :ivar name: the name of its instance, which need not be unique
    :ivar command: what the guest runs; a driver of virtual machines may
        ignore it
    :ivar memory_mb: memory in MiB; 0: no limit
    :ivar disk_gb: size of the root disk in GiB
    :ivar network: ``host``: the guest shares the network of the host;
        ``private``: the guest has a network of its own
    """

    uuid: str
    name: str
    command: str
    vcpus: int
    memory_mb: int
    disk_gb: int
    network: str


@dataclasses.dataclass(frozen=True)
class HostResources:
    """What the host has. Measured: guests that are planned do not count.

    Memory is in MiB, disk space in GiB.

    :ivar hypervisor_type: kind of the hypervisor, for example ``process``
    :ivar vcpus: number of processors that guests may use
    :ivar memory_mb_available: what a new guest could use now
    :ivar disk_gb: size of the file system that holds the guests
    """

    hypervisor_type: str
    hypervisor_version: str
    vcpus: int
    memory_mb: int
    memory_mb_available: int
    disk_gb: int
    disk_gb_free: int


@dataclasses.dataclass(frozen=True)
class InterfaceCounters:
    """The traffic of one network interface of a guest.

    A counter is None if the driver does not know it.

    :ivar device: the name of the interface, in the guest if the driver
        knows it
    :ivar mac_address: None if the interface has none
    :ivar rx_bytes: bytes that the guest received since the epoch began
    :ivar tx_bytes: bytes that it sent
    :ivar epoch: text that changes each time the counters start at zero
        again
    """

    uuid: str
    device: str
    mac_address: str | None
    rx_bytes: int | None
    tx_bytes: int | None
    rx_packets: int | None
    tx_packets: int | None
    epoch: str


@dataclasses.dataclass(frozen=True)
class Volume:
    """A volume that a guest gets.

    :ivar volume_id: its uuid, which the guest sees as its serial number
    :ivar attachment_id: a uuid, new with each attachment
    :ivar path: the file or block device on this host
    """

    volume_id: str
    attachment_id: str
    path: str


@dataclasses.dataclass(frozen=True)
class BlockCounters:
    """What a guest has read and written of one volume, since its epoch began.

    A counter is None if the driver cannot tell it of this volume alone.

    :ivar device: where the guest sees the volume
    :ivar rd_req: requests to read; ``wr_req``: to write
    :ivar rd_bytes: bytes that were read; ``wr_bytes``: written
    :ivar epoch: text that changes each time the counters start at zero again,
        and with each attachment
    """

    uuid: str
    volume_id: str
    device: str
    rd_req: int | None
    rd_bytes: int | None
    wr_req: int | None
    wr_bytes: int | None
    epoch: str
