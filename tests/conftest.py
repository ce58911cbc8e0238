"""The backend is chosen before anything of oslo is imported.

COMPUTED_CONCURRENCY_BACKEND=eventlet has tests, and the programs they start,
run on the other one.
"""

import pathlib
import tempfile

import pytest

from computed import concurrency
from tests.servers import rabbitmq as rabbitmq_server

concurrency.choose()
# What it finds wrong is shown whole, as in a test.
pytest.register_assert_rewrite('tests.support.ledger')


def pytest_report_header():
    return f'concurrency backend: {concurrency.chosen()}'


@pytest.fixture(scope='session')
def rabbitmq():
    """A broker, started once for all that ask for one."""
    with tempfile.TemporaryDirectory(prefix='computed-') as folder:
        broker = rabbitmq_server.RabbitMQ(pathlib.Path(folder) / 'rabbitmq')
        try:
            broker.start()
            yield broker
        finally:
            broker.close()
