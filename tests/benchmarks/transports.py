"""What calls travel over while they are measured."""

import contextlib
import dataclasses
import itertools
import pathlib
import typing

from tests.servers import rabbitmq as rabbitmq_server

_numbers = itertools.count(1)


@dataclasses.dataclass
class Transport:
    """:ivar url: for ``transport_url``
    :ivar taken: callable, ``taken(topic)`` says whether a server listens
    """

    kind: str
    url: str
    taken: typing.Callable


@contextlib.contextmanager
def unix(folder):
    """Sockets below ``folder``."""
    sockets = pathlib.Path(folder) / 'rpc'
    yield Transport('unix', f'unix://{sockets}',
                    lambda topic: list(sockets.glob(f'*{topic}*')))


@contextlib.contextmanager
def rabbitmq(folder):
    """A private broker, kept below ``folder``."""
    broker = rabbitmq_server.RabbitMQ(pathlib.Path(folder) / 'rabbitmq')
    try:
        broker.start()
        yield of_broker(broker)
    finally:
        broker.close()


def of_broker(broker):
    """A virtual host of a broker, where nobody listens yet."""
    vhost = f'benchmark{next(_numbers)}'
    broker.add_vhost(vhost)
    return Transport('RabbitMQ', broker.url(vhost),
                     lambda topic: broker.consumers(topic, vhost))


KINDS = (unix, rabbitmq)
