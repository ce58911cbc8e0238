"""The code and the text of a database server's error.

SQLAlchemy wraps the driver's error, and oslo.db wraps that of SQLAlchemy.
"""

from collections import abc


def sqlstate(error: BaseException) -> str | None:
    """Return the SQLSTATE of ``error``, or None if it has none.

    :param error: of the driver, of SQLAlchemy or of oslo.db
    """
    for one in _chain(error):
        if state := getattr(one, 'sqlstate', None):
            return state
    return None


def message(error: BaseException) -> str:
    """Return the driver's text of ``error``.

    It lacks the statement and its parameters, because parameters may be
    private texts of users.
    """
    return str(origin(error))


def origin(error: BaseException) -> BaseException:
    """Return the error that all the others wrap."""
    return [*_chain(error)][-1]


def problem(error: BaseException) -> str:
    """Return what is wrong, in one line without a full stop.

    Errors of MariaDB's driver consist of a number and a text.
    """
    cause = origin(error)
    match cause.args:
        case [int(number), str(text), *_] if not isinstance(cause, OSError):
            found = f'{text} ({number})'
        case _:
            found = str(cause)
    lines = found.strip().splitlines() or [type(cause).__name__]
    return lines[0].strip().rstrip('.')


def _chain(error: BaseException | None) -> abc.Iterator[BaseException]:
    """Yield ``error``, then the error that it wraps, and so on."""
    while error is not None:
        yield error
        error = (getattr(error, 'inner_exception', None) or
                 getattr(error, 'orig', None) or error.__cause__)
