"""Users who may not use the sockets of ``unix://``, and whose they are."""

import os
import pwd


class Forbidden(PermissionError):
    """This process and a server, or its folder, belong to different users.

    :ivar path: the socket, its folder, or a folder above that this user
        cannot enter
    :ivar owner: the name of the user whose it is
    :ivar server: the name of the user who runs the server; None: it is this
        process that may not use the folder
    :ivar user: the name of the user of this process
    """

    def __init__(self, path: str, server: int | None = None) -> None:
        """:param path: a socket, or the folder of the sockets
        :param server: the id of the user who runs the server, or None
        """
        self.path, owner = _entrance(path)
        self.owner, self.user = _name(owner), _name(os.geteuid())
        self.server = None if server is None else _name(server)
        super().__init__(
            f'{self.path} belongs to user {self.owner}, this process to '
            f'{self.user}' + (f', its server to {self.server}'
                              if self.server else ''))


def _entrance(path: str) -> tuple[str, int]:
    """Return the lowest part of a path that can be looked at, and its owner.
    """
    while True:
        try:
            return path, os.stat(path).st_uid
        except OSError:
            if path == '/':
                raise
            path = os.path.dirname(path)


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
