"""What instances and hosts may be called.

A name is typed by people, printed in tables and logs, and a host's name is
also part of names of queues and sockets.
"""

import re

from computed import exception

MAX_LENGTH = 255
RULE = (f'a name has 1 to {MAX_LENGTH} printable characters, and no space at '
        'its begin or end')
HOST_RULE = (f"a host's name has 1 to {MAX_LENGTH} letters, digits and "
             'characters of "._:%-", and begins with a letter or digit')
_HOST = re.compile(r'[A-Za-z0-9:][A-Za-z0-9._:%-]*')
# How much of a bad name an error repeats.
_SHOWN = 60


def fits(text: object) -> bool:
    """Return whether an instance may have this name."""
    return (isinstance(text, str) and 0 < len(text) <= MAX_LENGTH and
            text.isprintable() and text == text.strip())


def ensure_instance(text: object) -> None:
    """Refuse what cannot be the name of an instance.

    :raises computed.exception.InvalidName: it breaks the rule
    """
    if not fits(text):
        raise exception.InvalidName(name=str(text)[:_SHOWN], rule=RULE)


def ensure_host(text: object) -> None:
    """Refuse what cannot be the name of a host.

    :raises computed.exception.InvalidName: it breaks the rule
    """
    if not (isinstance(text, str) and len(text) <= MAX_LENGTH and
            _HOST.fullmatch(text)):
        raise exception.InvalidName(name=str(text)[:_SHOWN], rule=HOST_RULE)
