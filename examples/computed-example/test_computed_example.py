"""Test the driver with the contract of every driver, and the task.

Put the source tree of computed on PYTHONPATH, as the README says.
"""

import pytest
from computed_example import paper
from computed_example import tasks
from oslo_config import cfg

from computed import conf as computed_conf
from computed import exception
from tests.support import driver_contract


@pytest.fixture
def driver(tmp_path):
    conf = cfg.ConfigOpts()
    computed_conf.register_opts(conf)
    paper.register_opts(conf)
    conf(['--state-path', str(tmp_path)], default_config_files=[])
    made = paper.PaperDriver(conf)
    made.init_host(driver_contract.OWNER)
    yield made
    made.close()


class TestPaperDriver(driver_contract.DriverContract):

    def test_a_damaged_guest_is_not_an_absent_one(self, driver):
        guest = self.spawned(driver)
        (driver.folder / f'{guest}.json').write_text('{')
        assert not driver.list_instances().complete
        with pytest.raises(exception.DriverError, match=guest):
            driver.get_instance(guest)

    def test_a_folder_that_is_gone_is_not_an_empty_one(self, driver):
        driver.folder.rmdir()
        assert not driver.list_instances().complete


def test_enough_is_nothing_to_report():
    assert (tasks.judge(10, 10).candidates, tasks.judge(10, 10).note) == (
        0, None)


def test_too_little_is():
    report = tasks.judge(9, 10)
    assert (report.candidates, report.note) == (1, '9 GB are free')
