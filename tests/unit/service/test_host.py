"""Whose guests are here is known before anything is done."""

import pytest

from computed import exception
from computed.claims import claims
from computed.claims import journal
from computed.service import host
from computed.service import lifecycle_events
from computed.virt import claim as virt_claim
from computed.virt import memory
from tests.support import fixtures


@pytest.fixture
def service(tmp_path):
    found = host.HostService(fixtures.make_conf(tmp_path))
    found.claims = claims.Claims('db', fixtures.HOST, 's', 'b',
                                 journal.Journal(tmp_path / 'claims'))
    found.driver = memory.MemoryDriver(found.conf)
    found.driver.add_foreign(fixtures.UUID, virt_claim.Owner('db', 'another'))
    return found


def test_an_end_that_fails_in_part_is_an_end(service):
    ended = []
    service._lifecycle_events = lifecycle_events.LifecycleEvents(
        ended.append, lambda: 0)
    service._lifecycle_events.start()
    service.driver.fail_next('subscribe', OSError(5, 'broken'))
    service._parts = [lambda: ended.append('last'), lambda: 1 / 0,
                      lambda: ended.append('first')]
    with pytest.raises(OSError, match='broken'):
        service.stop()
    assert ended == ['first', 'last']
    assert not service._lifecycle_events._thread.is_alive()


def test_guests_of_another_host_are_refused(service):
    with pytest.raises(exception.ConfigError, match='belong to host another'):
        service._refuse_strangers()


def test_guests_that_are_not_known_yet_are_waited_for(service):
    service.driver.complete = False
    with pytest.raises(exception.DriverNotReady) as refusal:
        service._refuse_strangers()
    assert isinstance(refusal.value, host.TEMPORARY)
