"""Dead processes that become children of the daemon are collected."""

import os
import signal

import psutil
import pytest

from computed.virt import process
from computed.virt.process import reaper
from computed.virt.process.shim import system
from tests.support import driver_contract
from tests.support import process_guests as real
from tests.support import waiting

claim_on = driver_contract.claim_on


def become_subreaper():
    system.call('prctl', system.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def zombies():
    return [one.pid for one in psutil.Process().children()
            if one.status() == psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize('subscribed', [True, False])
def test_a_guest_leaves_no_zombie(driver, root, subscribed):
    def life():
        found = process.ProcessDriver(real.configured(root.parent))
        found.init_host(driver_contract.OWNER)
        if subscribed:
            found.subscribe(lambda uuid: None)
        guests = real.Guests(found, root)
        guest = guests.spawn()
        shim = guests.run(guest)['shim_pid']
        ours = psutil.Process(shim).ppid() == os.getpid()
        os.kill(guests.pid(guest), signal.SIGKILL)
        waiting.wait_for(lambda: not real.is_alive(shim))

        def collected():
            if not subscribed:
                # Each pass does; another dead child may have come first.
                found.list_instances()
            return not zombies()
        waiting.wait_for(collected)
        code = guests.info(guest).exit_code
        found.destroy(claim_on(guest))
        found.close()
        return ours, code
    assert real.in_a_fork(become_subreaper, life) == [True, -9]


def test_a_child_of_ours_is_left_to_who_started_it(monkeypatch):
    def life():
        found, child = reaper.Reaper(), os.fork()
        if child == 0:
            os._exit(7)
        waiting.wait_for(zombies)
        counts = [found.reap(), found.reap()]
        # Nobody waits for so long.
        monkeypatch.setattr(reaper, '_FORGOTTEN', 0.0)
        return [*counts, found.reap(), found.reap(), zombies()]
    assert real.in_a_fork(lambda: None, life) == [0, 0, 1, 0, []]
