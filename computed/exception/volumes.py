"""Errors about volumes."""

from computed.exception.base import ComputedError


class VolumeNotFound(ComputedError):
    """There is no volume {volume}. `computed-manage volume list` shows all."""


class VolumeAmbiguous(ComputedError):
    """{count} volumes are named {name}. Give the uuid of one of them: \
{uuids}."""


class VolumeExists(ComputedError):
    """{path} of host {host} is already volume {volume}. Attach that one."""


class VolumeInUse(ComputedError):
    """Volume {volume} is attached to instance {instance}. Detach it first: \
`computed-manage instance detach-volume {instance} {volume}`."""


class VolumeNotAttached(ComputedError):
    """Volume {volume} is not attached to instance {instance}."""


class VolumeElsewhere(ComputedError):
    """Volume {volume} is on host {host}, and instance {instance} is not. \
Attach a volume of the instance's own host."""


class VolumeUnusable(ComputedError):
    """{path} cannot be a volume: {problem}."""
