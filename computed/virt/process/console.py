"""Read what a guest printed; its shim keeps it in two files."""

import contextlib
import os
import typing

from computed.virt.process import folder


def tail(guest: folder.Folder, max_bytes: int) -> str:
    """Return the last bytes that a guest printed, as text.

    What was dropped and is not noted among them is told at their end.

    :raises OSError: they cannot be read
    """
    if not max_bytes:
        return ''
    text = _tail(guest, max_bytes).decode(errors='replace')
    if dropped := guest.dropped():
        text += (f'\n[{dropped} bytes of output were dropped here: there was '
                 'no room for them]\n')
    return text


def _tail(guest: folder.Folder, max_bytes: int) -> bytes:
    with contextlib.ExitStack() as opened:
        found = [opened.enter_context(one) for one in (
            _opened(guest['console.log']), _opened(guest['console.log.1']))
            if one is not None]
        # The older file may have been the newer one a moment ago.
        if len(found) == 2 and os.path.sameopenfile(
                found[0].fileno(), found[1].fileno()):
            found.pop()
        text = b''
        for file in found:
            wanted = max_bytes - len(text)
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - wanted))
            text = file.read(min(wanted, size)) + text
        return text


def _opened(path: str) -> typing.BinaryIO | None:
    """Return an open file; None if it is absent."""
    try:
        return folder.opened(path)
    except FileNotFoundError:
        return None
