"""A service starts in what is around it, and ends each of its parts."""

import re

import pytest

from computed import exception
from computed.claims import claims
from computed.claims import journal
from computed.service import host
from computed.service import lifecycle_events
from computed.virt import memory
from tests.support import fixtures


@pytest.fixture
def service(tmp_path):
    found = host.HostService(fixtures.make_conf(tmp_path))
    found.claims = claims.Claims('db', fixtures.HOST, 's', 'b',
                                 journal.Journal(tmp_path / 'claims'))
    found.driver = memory.MemoryDriver(found.conf)
    return found


def test_an_end_that_fails_in_part_is_an_end(service, caplog):
    ended = []
    service._lifecycle_events = lifecycle_events.LifecycleEvents(
        ended.append, lambda: 0)
    service._lifecycle_events.start()
    service.driver.fail_next('subscribe', OSError(5, 'broken'))
    service._parts.ends_with(lambda: ended.append('last'))
    service._parts.ends_with(lambda: 1 / 0)
    service._parts.ends_with(lambda: ended.append('first'))
    with pytest.raises(ZeroDivisionError):
        service.stop()
    assert 'broken' in caplog.text
    assert ended == ['first', 'last']
    assert not service._lifecycle_events._thread.is_alive()


@pytest.mark.parametrize('replace', [
    lambda path: path.symlink_to('/etc/passwd'), lambda path: path.mkdir()],
    ids=['link', 'folder'])
def test_what_is_no_file_in_the_state_path_ends_the_start_in_one_line(
        tmp_path, replace):
    service = host.HostService(fixtures.make_conf(tmp_path))
    path = tmp_path / 'seen.json'
    replace(path)
    try:
        with pytest.raises(exception.ConfigError, match=re.escape(str(path))):
            service.start()
    finally:
        service.stop()
