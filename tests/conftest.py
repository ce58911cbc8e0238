"""Choose the backend before anything of oslo is imported.

COMPUTED_CONCURRENCY_BACKEND=eventlet runs the tests, and the programs that
they start, on the other backend.
"""

import os
import pathlib
import signal
import tempfile

import pytest

from computed import concurrency
from tests import servers
from tests.servers import rabbitmq as rabbitmq_server
from tests.support import leftovers
from tests.support import order
from tests.support import prefork
from tests.support import scratch

concurrency.choose()
OWNS_FOLDER = scratch.choose()
# What this run left, one description each.
LEFT: list[str] = []
# A failed check of the ledger shows its values, as one in a test does.
pytest.register_assert_rewrite('tests.support.ledger')


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    if config.option.basetemp is None:
        config.option.basetemp = scratch.for_pytest()
    if OWNS_FOLDER:
        # SIGTERM ends the run as Ctrl-C does, so that it leaves nothing.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
            # As nohup has it. The programs of the tests would ignore it, too;
            # they do not inherit a function.
            signal.signal(signal.SIGHUP, lambda *caught: None)
        leftovers.remove_of_killed_runs()


def pytest_report_header():
    return (f'concurrency backend: {concurrency.chosen()}, '
            f'files below {tempfile.gettempdir()}')


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    """Fail a run that left something, after all of its workers ended."""
    prefork.end()
    if not OWNS_FOLDER:
        return
    LEFT.extend(leftovers.find_and_remove())
    if LEFT and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if session.exitstatus in (pytest.ExitCode.OK,
                              pytest.ExitCode.NO_TESTS_COLLECTED):
        scratch.remove()


def pytest_terminal_summary(terminalreporter):
    if LEFT:
        terminalreporter.section('left by this run')
        terminalreporter.write_line('\n'.join(LEFT))
    if OWNS_FOLDER and scratch.folder().exists():
        terminalreporter.write_line(f'files of this run: {scratch.folder()}')


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
