"""The benchmarks still run; what they print is nobody's business here."""

import pathlib
import tempfile

import pytest

from tests.benchmarks import databases
from tests.benchmarks import deployment
from tests.benchmarks import lists
from tests.benchmarks import saturated
from tests.benchmarks import transports


@pytest.fixture
def smallest(monkeypatch):
    monkeypatch.setattr(lists, 'SIZES', (10,))
    monkeypatch.setattr(saturated, 'SIZE', 10)
    monkeypatch.setattr(saturated, 'PROCESSES', 1)
    monkeypatch.setattr(saturated, 'WARM_UP', 1)


@pytest.fixture(params=['unix', 'RabbitMQ'])
def transport(request, tmp_path):
    if request.param == 'unix':
        with transports.unix(tmp_path) as found:
            yield found
    else:
        yield transports.of_broker(request.getfixturevalue('rabbitmq'))


@pytest.fixture
def database(transport):
    """Each kind once: SQLite over sockets, MariaDB over the broker."""
    # a server's socket needs a short path
    with tempfile.TemporaryDirectory(prefix='computed-') as folder, \
            databases.KINDS[transport.kind == 'RabbitMQ'](
                pathlib.Path(folder)) as found:
        yield found


def test_a_round_of_the_smallest(smallest, transport, database):
    lists.fill(database)
    with deployment.deployed(database, transport) as deployed:
        [row] = list(lists.measured(database, deployed, rounds=1))
        assert row[:3] == (transport.kind, database.kind, 10)
        assert float(row[-1]) > 0
        empty, listed = saturated.measured(database, deployed, 0.1)
    assert (empty[2], listed[2]) == ('empty', 'list of 10')
    assert float(listed[-1]) > 0
