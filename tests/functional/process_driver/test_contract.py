"""Test the process driver like every other driver."""

import pytest

from tests.support import driver_contract


class TestContract(driver_contract.DriverContract):

    @pytest.fixture
    def driver(self, driver):
        return driver
