"""The log holds up nobody."""

import contextlib
import logging
import os
import re
import select
import sys
import threading

import pytest
from oslo_config import cfg
from oslo_log import formatters
from oslo_log import log as oslo_logging

from computed import metrics
from computed.service.output import log_writers
from computed.service.output import outlet
from tests.support import waiting
from tests.support.waiting import wait_for

SAID = re.compile(r'WARNING (\d+) records were dropped')


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        os.close(descriptor)


def logger_to(writer):
    handler = logging.StreamHandler(os.fdopen(os.dup(writer), 'w'))
    handler.setFormatter(logging.Formatter('%(levelname)s %(message)s'))
    logger = logging.Logger('test')
    logger.addHandler(log_writers.Background(handler))
    return logger


def read_until(reader, text):
    found = b''
    while text not in found:
        found += os.read(reader, 1 << 16)
    return found.decode()


def test_a_reader_that_stalls_holds_up_nobody_and_hears_what_is_lost(
        pipe, monkeypatch):
    reader, writer = pipe
    monkeypatch.setattr(outlet, 'LIMIT', 10)
    before = metrics.log_records_dropped.current()._value.get()
    logger = logger_to(writer)
    with waiting.at_most(60):
        for number in range(1000):
            logger.info('line %d %s', number, 'x' * 1000)
    dropped = int(
        metrics.log_records_dropped.current()._value.get() - before)
    assert 0 < dropped < 1000
    text = ''
    with waiting.at_most(60):
        while sum(map(int, SAID.findall(text))) < dropped or (
                text.count('INFO line') < 1000 - dropped):
            text += os.read(reader, 1 << 16).decode()
    assert text.count('INFO line') == 1000 - dropped
    assert sum(map(int, SAID.findall(text))) == dropped


def test_a_line_tells_an_error_once(pipe):
    """oslo.log appends the error that is being handled to a warning."""
    reader, writer = pipe
    handler = logging.StreamHandler(os.fdopen(os.dup(writer), 'w'))
    conf = cfg.ConfigOpts()
    oslo_logging.register_options(conf)
    handler.setFormatter(formatters.ContextFormatter(
        config=conf, fmt='%(message)s'))
    logger = logging.Logger('test')
    logger.addHandler(log_writers.Background(handler))
    try:
        raise OSError('no such file')
    except OSError as error:
        logger.warning('It cannot be read: %s', error)
    logger.warning('end')
    assert read_until(reader, b'end\n').splitlines()[0].endswith(
        'It cannot be read: no such file')


def test_a_record_is_written_as_it_was_when_it_was_logged(pipe):
    reader, writer = pipe
    changed = ['before']
    logger = logger_to(writer)
    logger.info('it is %s', changed)
    changed[0] = 'after'
    logger.info('%d', 'not a number')
    try:
        raise OSError('no')
    except OSError:
        logger.exception('failed')
    text = read_until(reader, b'OSError: no')
    assert text.startswith("INFO it is ['before']\n")
    assert "'%d' ('not a number',)" in text
    assert text.count('Traceback') == 1


def test_what_cannot_be_written_is_dropped():
    found, done = outlet.Outlet('test'), []
    found.put(lambda: 1 / 0)
    found.put(lambda: done.append(1))
    wait_for(lambda: done, 10)
    wait_for(found.is_empty, 10)


def test_a_log_that_cannot_be_written_is_told_in_one_line(tmp_path, capfd):
    descriptor = os.open('/dev/full', os.O_WRONLY)
    with os.fdopen(descriptor, 'w') as stream:
        logger = logging.Logger('test')
        logger.addHandler(log_writers.Background(
            logging.StreamHandler(stream)))
        before = metrics.log_records_dropped.current()._value.get()
        for number in range(100):
            logger.info('line %d %s', number, 'x' * 1000)
        wait_for(logger.handlers[0]._outlet.is_empty, 10)
        # There is room again.
        with open(tmp_path / 'log', 'w') as found:
            os.dup2(found.fileno(), descriptor)
        logger.info('later')
        wait_for(lambda: 'may be missing' in (tmp_path / 'log').read_text(),
                 10)
    assert ('100 records before this one may be missing: they could not be '
            'written (No space left on device).') in (
        tmp_path / 'log').read_text()
    assert metrics.log_records_dropped.current()._value.get() - before == 100
    wait_for(outlet.of(sys.stderr).is_empty, 10)
    assert capfd.readouterr().err == (
        'The log StreamHandler cannot be written: No space left on device\n')


def test_a_reader_that_stalls_holds_up_no_change_of_the_handlers(pipe):
    reader, _ = pipe
    handler = logging.StreamHandler(os.fdopen(os.dup(pipe[1]), 'w'))
    logger = logging.Logger('test')
    logger.addHandler(log_writers.Background(handler))
    for _ in range(100):
        logger.info('x' * 5000)
    wait_for(lambda: select.select([], [pipe[1]], [], 0) == ([], [], []), 10)
    # As logging.config calls it, with what logging knows.
    known = [one for one in logging._handlerList
             if one() in (handler, *logger.handlers)]
    ended = threading.Thread(
        target=logging.shutdown, args=(known,), daemon=True)
    ended.start()
    wait_for(lambda: not ended.is_alive(), 10)
    os.set_blocking(reader, False)

    def is_read():
        with contextlib.suppress(BlockingIOError):
            os.read(reader, 1 << 20)
        return logger.handlers[0]._outlet.is_empty()
    wait_for(is_read)
