"""Long lists, page by page: printed while they are read."""


def rows(read, limit=None, marker=None, more=lambda marker: None):
    """Every member of a list, one after the other.

    A page is read when its first member is asked for, but the first of all
    at once: what is wrong shows before anything is printed.

    :param read: a page, given ``limit`` and ``marker``; see
        :class:`computed.objects.base.Page`
    :param limit: the most members; None: all
    :param more: told where to go on, if the limit was met before the end
    """
    return _following(read, limit, more, read(limit=limit, marker=marker))


def _following(read, limit, more, page):
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
