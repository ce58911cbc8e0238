"""A service starts in what is around it, and ends each of its parts."""

import pytest

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
