"""Which run of a service may take a host from another one. Pure.

A file that can be copied proves nothing: two machines may have the same
``service.json``. Two facts allow a run to follow another one:

* It proves that the other has ended. Both locked the same file on the same
  machine since that machine booted, and the later one holds the lock now.
* The other was silent for the whole time after which a service counts as
  down.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Life:
    """One run of a service.

    :ivar service_id: kept in the state path, so it may be a copy
    :ivar boot_id: drawn at the start of the run
    :ivar host_boot_id: drawn by the kernel when the machine booted
    :ivar place: device and inode of the lock file, which the run holds; empty
        if it is not known
    :ivar began: seconds since the machine booted
    """

    service_id: str
    boot_id: str
    host_boot_id: str
    place: str = ''
    began: float = 0.0


def follows(later: Life, former: Life) -> bool:
    """Return whether ``later`` proves that ``former`` has ended.

    :param later: the run that asks for the host
    """
    if (later.service_id, later.boot_id) == (
            former.service_id, former.boot_id):
        return True     # its request came twice
    # A request that was late must not undo a later registration.
    return bool(later.place and isinstance(former.began, float) and
                later.began > former.began and
                (later.host_boot_id, later.place) ==
                (former.host_boot_id, former.place))


def left(silent: float, down_after: float) -> float:
    """Return how many more seconds the former run must be silent.

    :param silent: seconds that it surely was silent
    :param down_after: seconds of silence after which a service is down
    """
    return max(0.0, down_after - silent)
