"""The server of RPC: the library's, with what it lacks."""

import typing

from oslo_log import log as logging
from oslo_messaging.rpc import server as library

from computed import concurrency
from computed.rpc import rabbit
from computed.rpc import rabbit_server

LOG = logging.getLogger(__name__)

# Seconds between two looks at the broker while the last calls end.
LOOK = 1.0
# So often in a row it must be away until nobody waits for it any more.
MISSES = 3


class Server(library.RPCServer):
    """Takes requests from one transport and hands them to a dispatcher."""

    def _create_listener(self) -> typing.Any:
        return rabbit_server.improved(super()._create_listener())

    def finish(self) -> None:
        """Wait until the last calls are answered, or the broker is away.

        The library tries to send an answer for as long as a broker is away.
        A server that ends does not wait for that.
        """
        waiting = concurrency.thread('server wait', self.wait)
        waiting.start()
        misses = 0
        while misses < MISSES:
            waiting.join(LOOK)
            if not waiting.is_alive():
                return
            misses = misses + 1 if self._broker_is_away() else 0
        LOG.warning('The last answers are lost: the broker is away.')

    def _broker_is_away(self) -> bool:
        try:
            rabbit.inspect_queues(self.transport, [])
        except rabbit.Unreachable:
            return True
        return False
