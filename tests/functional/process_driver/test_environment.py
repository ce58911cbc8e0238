"""Test what a guest gets from its host."""

import os

from tests.support import process_guests as real


def test_a_guest_gets_its_limits_and_nothing_of_the_daemon(
        guests, monkeypatch, root):
    monkeypatch.setenv('DATABASE_PASSWORD', 'secret')
    guest = guests.spawn(
        real.shell('env; pwd; ulimit -v; ls -l /proc/self/fd; '
              'echo opened again > /dev/stderr; echo up; '
              'sleep 1000'), memory_mb=512, vcpus=1)
    output = guests.wait_for_output(guest, 'up')
    assert 'secret' not in output
    assert f'COMPUTED_INSTANCE={guest}' in output
    assert str(root / guest / 'disk') in output
    assert str(512 * 1024) in output.split()
    assert '0 -> /dev/null' in output
    assert '2 -> pipe:' in output
    assert 'opened again' in output
    assert 'socket:' not in output
    assert output.count('pipe:') == 2
    assert len(os.sched_getaffinity(guests.pid(guest))) == 1


def test_signals_do_for_a_guest_what_they_do_for_any_program(guests):
    guest = guests.spawn(real.shell('grep Sig /proc/self/status; sleep 1000'))
    output = guests.wait_for_output(guest, 'SigCgt')
    ignored = dict(line.split() for line in output.splitlines()
                   if line.startswith('Sig'))
    # The C library reserves 32 and 33: a program cannot set them, and some
    # versions of make leave them ignored.
    library = 0b11 << 31
    assert int(ignored['SigIgn:'], 16) & ~library == 0
    assert int(ignored['SigBlk:'], 16) == 0


def test_the_folder_of_a_guest_is_for_its_owner_only(guests, root):
    guest = guests.spawn()
    assert root.stat().st_mode & 0o777 == 0o700
    assert (root / guest).stat().st_mode & 0o777 == 0o700


def test_the_console_shows_its_end_and_any_bytes(guests):
    guest = guests.spawn(real.python(
        "import os; os.write(1, b'x' * 5000 + b'\\xff end')"))
    guests.wait_for_output(guest, 'end')
    assert guests.driver.console_log(guest, 5) == '\N{REPLACEMENT CHARACTER}'\
        ' end'


def test_details_tell_the_pid_and_since_when(guests):
    guest = guests.spawn()
    details = guests.info(guest).details
    assert details['pid'] == guests.run(guest)['pid']
    assert details['started_at'] == guests.run(guest)['started_at']
    assert details['interfaces'] == []
