"""How many files a program may have open."""

import resource

# More than any program of ours needs. Where the hard limit is a thousand
# times as high, some library may walk through all of them.
_ENOUGH = 1 << 20
_given: list[int] = []


def raise_limit() -> int:
    """Raise the soft limit of open files as far as the hard one allows.

    The soft limit is 1024 on most systems, for programs that use
    ``select()``. Each guest, connection and thread of a host needs some.

    :returns: the limit from now on
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if not _given:
        _given.append(soft)
    wanted = (_ENOUGH if hard == resource.RLIM_INFINITY
              else min(hard, _ENOUGH))
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft


def given_limit() -> int:
    """Return the soft limit that this program was started with."""
    return _given[0] if _given else resource.getrlimit(
        resource.RLIMIT_NOFILE)[0]
