"""The owner of the guests here is known before anything is done."""

import pytest

from computed import exception
from computed.service import host
from computed.service import ownership
from computed.virt import claim as virt_claim
from computed.virt import memory
from tests.support import fixtures

OURS = virt_claim.Owner('db', fixtures.HOST)
OTHER_UUID = fixtures.UUID[:-1] + 'f'


@pytest.fixture
def driver(tmp_path):
    found = memory.MemoryDriver(fixtures.make_conf(tmp_path))
    found.add_foreign(fixtures.UUID, virt_claim.Owner('db', 'another'))
    return found


def test_guests_of_another_host_are_refused(driver):
    with pytest.raises(exception.ConfigError, match='belong to host another'):
        ownership.check(driver.list_instances(), OURS)


def test_guests_of_another_database_are_refused(driver):
    with pytest.raises(exception.WrongDatabase):
        ownership.check(driver.list_instances(),
                        virt_claim.Owner('db2', 'another'))


def test_one_guest_of_ours_is_enough(driver, caplog):
    driver.add_foreign(OTHER_UUID, OURS)
    ownership.check(driver.list_instances(), OURS)
    assert f'Guest {fixtures.UUID} belongs to' in caplog.text
    assert OTHER_UUID not in caplog.text


def test_guests_that_are_not_known_yet_are_waited_for(driver):
    driver.complete = False
    with pytest.raises(exception.DriverNotReady) as refusal:
        ownership.check(driver.list_instances(), OURS)
    assert isinstance(refusal.value, host.TEMPORARY)
