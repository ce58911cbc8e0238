"""Read long lists page by page, so that printing can begin at once."""

import typing
from collections import abc


class Page(typing.Protocol):
    """A part of a list; see :class:`computed.objects.base.Page`."""

    @property
    def next_marker(self) -> str | None: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> abc.Iterator[typing.Any]: ...


# Returns a page, given ``limit`` and ``marker``.
Read = abc.Callable[..., Page]


def rows(read: Read, limit: int | None = None, marker: str | None = None,
         more: abc.Callable[[str], object] = lambda marker: None,
         none: abc.Callable[[], object] = lambda: None,
         ) -> abc.Iterator[typing.Any]:
    """Return the members of a list, one after the other.

    The first page is read at once, so that an error shows before anything is
    printed. Each further page is read when its first member is needed.

    :param read: returns a page, given ``limit`` and ``marker``
    :param limit: the maximum number of members; None: all
    :param marker: where to begin; None: at the beginning
    :param more: called with the next marker if the limit has cut the list
    :param none: called if there are no members; it may raise an error, for
        an empty list would hide a misspelt name
    """
    first = read(limit=limit, marker=marker)
    if not len(first):
        none()
    return _following(read, limit, more, first)


def _following(read: Read, limit: int | None,
               more: abc.Callable[[str], object],
               page: Page) -> abc.Iterator[typing.Any]:
    while True:
        yield from page
        if page.next_marker is None:
            return
        if limit is not None:
            limit -= len(page)
            if limit <= 0:
                more(page.next_marker)
                return
        page = read(limit=limit, marker=page.next_marker)
