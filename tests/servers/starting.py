"""Start a server that many tests need, at the second try if the first fails.
"""

import contextlib


class NotStarted(AssertionError):
    """A server that many tests need did not start.

    :ivar line: what and why, for every test after the first
    :ivar shown: whether a test has shown the whole of it
    """

    def __init__(self, name, errors):
        why = str(errors[-1]).split('\n', 1)[0]
        self.line = f'{name} did not start, tried {len(errors)} times: {why}'
        super().__init__('\n'.join([self.line, *map(str, errors)]))
        self.shown = False


# What did not start once is not tried again by each later test.
_failed = {}


@contextlib.contextmanager
def started(name, folder, make, stop='stop'):
    """Start what ``make(folder)`` returns; stop it at the end.

    The second try has another folder, and so other ports.

    :param name: for folders and errors
    :param folder: where to make a folder for each try
    :param stop: the method that stops it, also half started
    :raises NotStarted: both tries failed, now or earlier
    """
    if name in _failed:
        raise _failed[name]
    server, errors = None, []
    while server is None:
        try:
            server = _start(make, folder / f'{name}{len(errors)}', stop)
        except Exception as error:
            errors.append(error)
            if len(errors) == 2:
                _failed[name] = NotStarted(name, errors)
                raise _failed[name] from error
    try:
        yield server
    finally:
        getattr(server, stop)()


def _start(make, folder, stop):
    # A server that does not run as root must reach its own folder.
    folder.mkdir(mode=0o711)
    with contextlib.ExitStack() as stack:
        server = make(folder)
        stack.callback(getattr(server, stop))
        server.start()
        stack.pop_all()
        return server
