"""Choose the backend before anything of oslo is imported.

COMPUTED_CONCURRENCY_BACKEND=eventlet runs the tests, and the programs that
they start, on the other backend.
"""

import os
import pathlib
import tempfile

import pytest

from computed import concurrency
from tests import servers
from tests.servers import rabbitmq as rabbitmq_server
from tests.support import order
from tests.support import scratch

concurrency.choose()
scratch.choose()
# A failed check of the ledger shows its values, as one in a test does.
pytest.register_assert_rewrite('tests.support.ledger')


def pytest_report_header():
    return (f'concurrency backend: {concurrency.chosen()}, '
            f'files below {tempfile.gettempdir()}')


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Run the files of the whole suite in an order that keeps cores busy."""
    files = list(dict.fromkeys(item.path for item in items))
    places = {file: place for place, file in enumerate(order.ordered(files))}
    items.sort(key=lambda item: places[item.path])


def pytest_xdist_make_scheduler(config, log):
    return order.Scheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Show once why a server did not start, then one line for each test."""
    report = yield
    error = call.excinfo and call.excinfo.value
    if isinstance(error, servers.NotStarted):
        if error.shown:
            report.longrepr = error.line
        error.shown = True
    return report


@pytest.fixture(scope='session')
def server_folder():
    """A private folder with a short name, removed at the end."""
    # a socket's path may have 107 bytes; pytest's own folders are deep
    with tempfile.TemporaryDirectory(prefix='computed-') as folder:
        # a server that does not run as root must reach its own folder
        pathlib.Path(folder).chmod(0o711)
        yield pathlib.Path(folder)


@pytest.fixture(scope='session')
def rabbitmq(server_folder):
    """A broker, started once for every test that needs one."""
    if name := os.environ.get(rabbitmq_server.RUNNING):
        yield rabbitmq_server.Running(name)
        return
    with servers.started('rabbitmq', server_folder, lambda folder:
                         rabbitmq_server.RabbitMQ(folder / 'broker'),
                         stop='close') as broker:
        yield broker
