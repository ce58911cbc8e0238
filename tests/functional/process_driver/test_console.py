"""The console of a guest: bounded, and nothing that the guest waits for."""

import contextlib
import os
import signal

from computed import states
from computed.virt import process
from tests.support import driver_contract
from tests.support import process_guests as real
from tests.support import small_disk
from tests.support import waiting

claim_on = driver_contract.claim_on

# Prints numbered lines; tells on its disk how far it came, and how it ended.
PRINTER = """
import os, signal, sys
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
for number in range(@count@):
    os.write(1, b'%099d\\n' % number)
    if number % 1000 == 0:
        with open('.new', 'w') as file:
            file.write(str(number))
        os.rename('.new', 'reached')
"""


def printer(count=10 ** 9):
    script = PRINTER.replace('@count@', str(count))
    return f'{real.PYTHON} -S - <<"END"\n{script}\nEND'


def bounded(root, megabytes=1):
    """Return helpers over a driver that keeps so much of a console."""
    conf = real.configured(root.parent)
    conf.set_override('console_log_max_mb', megabytes, 'virt')
    driver = process.ProcessDriver(conf)
    driver.init_host(driver_contract.OWNER)
    return real.Guests(driver, root)


def reached(root, guest):
    with contextlib.suppress(OSError, ValueError):
        return int((root / guest / 'disk' / 'reached').read_text())
    return 0


def size_of(root, guest):
    return sum(path.stat().st_size for path in
               (root / guest).glob('console.log*'))


def test_a_console_is_bounded_and_keeps_what_was_printed_last(
        driver, root):
    guests = bounded(root)
    guest = guests.spawn(printer(count=30_000))     # 3 MB
    info = guests.wait_for_end(guest)
    assert (info.power_state, info.exit_code) == (states.SHUTDOWN, 0)
    assert 500_000 < size_of(root, guest) <= 1 << 20
    # More than one of the two files has.
    lines = guests.driver.console_log(guest, 700_000).splitlines()[-6000:]
    assert lines == [f'{number:099}' for number in range(24_000, 30_000)]


def test_a_guest_prints_on_while_the_daemon_is_away(
        driver, root, make_driver):
    guests = bounded(root)
    guest = guests.spawn(printer())
    waiting.wait_for(lambda: reached(root, guest))
    guests.driver.close()
    before = reached(root, guest)
    # Much more than a pipe holds.
    waiting.wait_for(lambda: reached(root, guest) > before + 20_000)
    assert size_of(root, guest) <= 1 << 20
    later = real.Guests(make_driver(), root)
    assert later.info(guest).power_state == states.RUNNING
    last = later.driver.console_log(guest, 100_000).splitlines()[-2]
    assert int(last) > before


@small_disk.needs_root
def test_a_full_disk_holds_no_guest_up_and_what_is_dropped_is_counted(
        tmp_path):
    def life():
        guests = bounded(tmp_path / 'instances', megabytes=16)
        root = guests.root
        guest = guests.spawn(
            'cd /tmp; ' + printer().replace("'.new'", "'/tmp/.new'"))
        waiting.wait_for(lambda: guests.driver.console_log(guest, 100))
        filler = small_disk.fill(tmp_path)
        waiting.wait_for(lambda: 'were dropped here: there was no room' in
                         guests.driver.console_log(guest, 10_000))
        small_disk.assert_full(tmp_path)
        assert guests.info(guest).power_state == states.RUNNING
        os.unlink(filler)
        # In all that is kept: the guest prints megabytes between two looks.
        waiting.wait_for(lambda: 'output were dropped here]' in
                         guests.driver.console_log(guest, 16 << 20))
        guests.driver.destroy(claim_on(guest))
        return real.left_of(root)
    assert small_disk.on_a_small_disk(tmp_path, 8, life) == []


@small_disk.needs_root
def test_what_was_dropped_is_told_of_the_run_that_printed_it(tmp_path):
    def life():
        guests = bounded(tmp_path / 'instances', megabytes=16)
        driver = guests.driver

        def told():
            guests.wait_for_end(guest)
            return 'were dropped here: there' in driver.console_log(
                guest, 1000)
        guest = guests.spawn('test -e go && head -c 100000 /dev/zero')
        seen = [told()]
        (guests.root / guest / 'disk' / 'go').touch()
        filler = small_disk.fill(tmp_path)
        driver.power_on(claim_on(guest))
        seen.append(told())
        os.unlink(filler)
        os.unlink(guests.root / guest / 'disk' / 'go')
        driver.power_on(claim_on(guest))
        seen.append(told())
        driver.destroy(claim_on(guest))
        return seen
    assert small_disk.on_a_small_disk(tmp_path, 8, life) == [
        False, True, False]


@small_disk.needs_root
def test_a_guest_is_ended_and_started_again_on_a_full_disk(tmp_path):
    def life():
        guests = bounded(tmp_path / 'instances')
        driver = guests.driver
        guest, other = guests.spawn('exit 7'), guests.spawn()
        guests.wait_for_end(guest)
        small_disk.fill(tmp_path)
        driver.power_on(claim_on(guest))
        assert guests.wait_for_end(guest).exit_code == 7
        seen = []
        for change in ('power_off', 'power_on', 'reboot', 'pause',
                       'unpause'):
            driver_contract.CHANGES[change](driver, claim_on(other))
            seen.append(guests.info(other).power_state)
        assert seen == [states.SHUTDOWN, states.RUNNING, states.RUNNING,
                        states.POWER_PAUSED, states.RUNNING]
        # It ends by itself: what the driver did before is not blamed.
        os.kill(guests.pid(other), signal.SIGKILL)
        info = guests.wait_for_end(other)
        assert (info.power_state, info.exit_code) == (states.CRASHED, -9)
        driver.power_on(claim_on(other))
        os.kill(guests.pid(other), signal.SIGKILL)
        assert guests.wait_for_end(other).power_state == states.CRASHED
        small_disk.assert_full(tmp_path)
        for one in (guest, other):
            driver.destroy(claim_on(one))
        return real.left_of(guests.root)
    assert small_disk.on_a_small_disk(tmp_path, 8, life) == []
