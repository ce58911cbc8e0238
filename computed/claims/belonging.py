"""What the guests of this host belong to, known before anybody is asked.

A database or a host name that was changed by mistake is noticed before this
service writes anything there.
"""

import dataclasses

from oslo_log import log as logging

from computed import exception
from computed import files

LOG = logging.getLogger(__name__)

FILE = 'belongs.json'
REMEDY = 'Remove it: the guests themselves also tell what they belong to.'


@dataclasses.dataclass(frozen=True)
class Belonging:
    """The database and the host that this state path has worked for."""

    database_id: str
    host: str


def known(state_path: str) -> Belonging | None:
    """Return what an earlier run has kept; None: nothing.

    :raises computed.exception.FileDamaged: the file is damaged
    :raises OSError: it cannot be read
    """
    path = files.below(state_path, FILE)
    try:
        found = files.read_json(path)
        with files.understood(path):
            return found and Belonging(found['database_id'], found['host'])
    except files.Damaged as error:
        raise exception.FileDamaged(path=path, reason=error.reason,
                                    remedy=REMEDY) from error


def keep(state_path: str, found: Belonging) -> None:
    """Keep what the guests belong to, once that is sure."""
    if known(state_path) == found:
        return
    try:
        files.write_json(files.below(state_path, FILE),
                         dataclasses.asdict(found))
    except OSError as error:
        LOG.warning('What this host belongs to could not be kept: %s', error)


def lost(path: str, problem: str, known: Belonging,
         state_path: str) -> exception.ConfigError:
    """Return the error for a database that is gone.

    :param path: of its file
    :param problem: what is wrong with the file
    :param known: what this host has worked with
    """
    return exception.ConfigError(
        option='[database] connection', value=path,
        problem=f'{problem}, but this host has worked with database '
                f'{known.database_id} until now',
        remedy='Put it back from a backup, and run `computed-manage db '
               f'new-incarnation`. {_again(state_path)}')


def refused(error: exception.WrongDatabase,
            state_path: str) -> exception.ConfigError:
    """Return the error for a database that this host never worked with."""
    return exception.ConfigError(
        option='[database] connection of the conductor',
        value=f'database {error.kwargs["found"]}',
        problem='this host has worked with database '
                f'{error.kwargs["expected"]} until now',
        remedy='Correct it, or put that database back from a backup. '
               f'{_again(state_path)}')


def _again(state_path: str) -> str:
    return ('To begin again, stop the guests that are left, and remove '
            f'{files.below(state_path, FILE)}.')
