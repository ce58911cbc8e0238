"""The server of RPC: the library's, with what it lacks."""

import typing

from oslo_messaging.rpc import server as library

from computed.rpc import rabbit_server


class Server(library.RPCServer):
    """Takes requests from one transport and hands them to a dispatcher."""

    def _create_listener(self) -> typing.Any:
        return rabbit_server.improved(super()._create_listener())
