"""Tell what lasts too long. Pure."""

import datetime


def is_over(since: datetime.datetime | None, now: float,
            timeout: int) -> bool:
    """Return whether something has lasted for longer than allowed.

    :param since: when it began, by the clock of the database; None: it has
        not begun
    :param now: the time of the database, in seconds since 1970
    :param timeout: seconds; 0: it may last for ever
    """
    return timeout > 0 and since is not None and (
        now - since.timestamp() > timeout)
