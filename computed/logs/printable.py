"""Texts of peers and users, as a line for people may show them.

A name, a command, a version or an error may come from anybody. A line break
in it would begin a line of its own, and an escape sequence would move the
cursor or set the title of the operator's terminal.
"""

import reprlib

# How many characters of a bad value a line shows.
SHORT = 80
# How many characters of the text of an error it shows.
LONG = 200

_bounded = reprlib.Repr()
_bounded.maxstring = _bounded.maxother = _bounded.maxlong = SHORT


def escaped(value: object, allowed: str = '') -> str:
    r"""Return a text as one line; each other character is escaped, as ``\n``.

    :param allowed: characters to keep although they cannot be printed
    """
    text = str(value)
    if text.isprintable():
        return text
    return ''.join(
        one if one.isprintable() or one in allowed else
        one.encode('unicode_escape').decode() for one in text)


def short(value: object) -> str:
    """Return the begin of a text, or of what stands in its place."""
    text = value[:SHORT] if isinstance(value, str) else quoted(value)
    return escaped(text)[:SHORT]


def quoted(value: object) -> str:
    """Return the begin of the ``repr`` of any value.

    It is cheap and cannot fail, however large or deep the value is.
    """
    try:
        text = _bounded.repr(value)
    except Exception:       # of any type: a number can be too long for it
        text = f'a {type(value).__name__}'
    return escaped(text)[:SHORT]


def one_line(error: BaseException) -> str:
    """Return the class and the text of an error, in one line."""
    text = ' '.join(str(error).split())
    return escaped(f'{type(error).__name__}: {text}'[:LONG])[:LONG]
