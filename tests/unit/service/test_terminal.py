"""What anybody may have written drives no terminal and forges no line."""

import io
import logging

import pytest
from oslo_config import cfg
from oslo_log import formatters
from oslo_log import log as oslo_logging

from computed import context
from computed.service import terminal
from computed.service.output import console
from computed.service.output import outlet

EVIL = 'web\n12:00:00 INFO all is well\x1b]0;title\x07\x9b2J\u202e'
ESCAPED = r'web\n12:00:00 INFO all is well\x1b]0;title\x07\x9b2J\u202e'


def test_the_lines_and_tabs_of_a_console_stay():
    assert terminal.printable_lines('a\tb\r\nc\x1b[2Jd\n\re') == (
        'a\tb\nc\\x1b[2Jd\n\\re')


@pytest.fixture
def logged():
    """A function that returns the lines of what one call of a log wrote."""
    conf = cfg.ConfigOpts()
    oslo_logging.register_options(conf)
    conf([])

    def log(write, inner=None, colours=False):
        conf.set_override('log_color', colours)
        logger, stream = logging.Logger('test'), io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(inner or formatters.ContextFormatter(config=conf))
        logging.root.addHandler(handler)
        try:
            terminal.clean_logs(conf)
            terminal.clean_logs(conf)
        finally:
            logging.root.removeHandler(handler)
        logger.addHandler(handler)
        write(logger)
        return stream.getvalue().splitlines()
    return log


def test_a_record_is_one_line_whatever_its_arguments_are(logged):
    [line] = logged(lambda log: log.warning('Instance %s stopped.', EVIL))
    assert line.endswith(f'Instance {ESCAPED} stopped.')
    assert line.isprintable()


def test_a_request_id_of_a_peer_begins_no_line(logged):
    caller = context.RequestContext(request_id=EVIL, overwrite=False)
    [line] = logged(lambda log: log.warning('x', extra={'context': caller}))
    assert ESCAPED in line
    assert line.isprintable()


def test_the_frames_of_an_error_have_lines_of_their_own(logged):
    def write(log):
        try:
            raise ValueError(EVIL)
        except ValueError:
            log.exception('Failed: %s', EVIL)
    lines = logged(write)
    assert len(lines) > 3
    assert f'Failed: {ESCAPED}' in lines[0]
    assert all(line.isprintable() for line in lines)
    assert 'Traceback (most recent call last)' in lines[1]
    # Each has what the formatter puts before it, also the forged one.
    [forged] = [line for line in lines[1:] if 'all is well' in line]
    assert ' ERROR test ' in forged


def test_colours_of_the_log_stay(logged):
    inner = logging.Formatter('\x1b[31m%(message)s\x1b[00m')
    [line] = logged(lambda log: log.warning('%s', EVIL), inner, colours=True)
    assert line == f'\x1b[31m{ESCAPED}\x1b[00m'


def test_json_stays_as_it_is(logged):
    [line] = logged(lambda log: log.warning('%s', EVIL),
                    formatters.JSONFormatter())
    assert r'web\n12' in line and r'web\\n' not in line


def test_say_prints_the_lines_that_it_is_given(capsys):
    console.say(f'Instance {EVIL} is still here.', '    next')
    outlet.drain()
    assert capsys.readouterr().out.splitlines() == [
        f'Instance {ESCAPED} is still here.', '    next']
