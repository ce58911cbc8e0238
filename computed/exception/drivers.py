"""Errors of drivers."""

from computed.exception.base import ComputedError


class DriverError(ComputedError):
    """The driver failed: {reason}."""


class DriverNotReady(DriverError):
    """The driver is not ready: {reason}."""


class DriverHangs(DriverNotReady):
    """The driver does not answer: {operation} takes longer than \
{timeout} s. It is not asked again until that call ends."""


class DriverTimeout(DriverError):
    """The driver did not {operation} within {timeout} s."""


class NotSupported(DriverError):
    """The {driver} driver cannot {operation}."""


class GuestNotFound(DriverError):
    """This host has no guest {uuid}."""


class FilesLeft(DriverError):
    """Guest {uuid} is gone, but not all its files can be removed: {reason}."""


class ForeignGuest(DriverError):
    """Guest {uuid} belongs to {owner}, not to this host. It is not touched."""
