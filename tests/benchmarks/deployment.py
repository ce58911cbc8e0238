"""What is measured: a conductor, and beside it a server of empty calls."""

import contextlib
import dataclasses
import pathlib
import subprocess
import tempfile
import typing

from tests.benchmarks import empty
from tests.benchmarks import transports
from tests.support import fixtures
from tests.support import waiting


@dataclasses.dataclass
class Deployment:
    """:ivar conductor: its process
    :ivar empty: the process of the server of empty calls
    :ivar call: makes one empty call
    """

    transport: transports.Transport
    folder: pathlib.Path
    conductor: subprocess.Popen
    empty: subprocess.Popen
    call: typing.Callable


@contextlib.contextmanager
def deployed(database, transport):
    """Both servers as processes on the database; this one is a host."""
    with tempfile.TemporaryDirectory(dir=database.folder) as name:
        folder = pathlib.Path(name)
        arguments = fixtures.write_config(
            folder / 'computed.conf', {'connection': database.url},
            transport_url=transport.url)
        conductor = fixtures.Program('computed-conductor', folder, *arguments)
        server = empty.start(folder, transport.url)
        try:
            for topic in ('conductor', empty.TOPIC):
                waiting.wait_for(lambda topic=topic: transport.taken(topic),
                                 30, topic)
            with fixtures.HostSide(folder, folder,
                                   transport_url=transport.url) as side:
                yield Deployment(transport, folder, conductor.process, server,
                                 empty.client(side.transport))
        finally:
            conductor.end()
            server.stdin.close()
            server.wait()
