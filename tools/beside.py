"""Run one command while another one runs.

``python -P tools/beside.py SHORT LONG`` runs two shell commands. LONG has the
terminal. What SHORT writes appears in one piece once it has ended. The exit
code is that of the command that failed, LONG's first.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import typing


def show(process: subprocess.Popen, log: typing.BinaryIO) -> None:
    """Wait for the end of ``process`` and write its output."""
    process.wait()
    log.seek(0)
    os.write(1, b'\n' + log.read())


def stop(process: subprocess.Popen) -> None:
    """End ``process`` and all that it has started; harmless at its end."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)


def run(short: str, long: str) -> int:
    """Run both and return the exit code."""
    beside: subprocess.Popen | None = None
    front: subprocess.Popen | None = None
    came = 0

    def interrupt(number: int, _: typing.Any) -> None:
        nonlocal came
        came = number
        if beside is not None:
            stop(beside)
        if front is not None and number != signal.SIGINT:
            front.send_signal(number)       # Ctrl-C reaches it by itself
    # Before anything is started that would be left behind.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    with tempfile.TemporaryFile() as log:
        # In a group of its own, so that all of it can be ended.
        beside = subprocess.Popen(
            short, shell=True, stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT, start_new_session=True)
        front = subprocess.Popen(long, shell=True)
        if came:
            stop(beside)
            front.send_signal(came)
        shown = threading.Thread(target=show, args=(beside, log))
        shown.start()
        status = front.wait()
        shown.join()
    return abs(status or beside.returncode)


if __name__ == '__main__':
    sys.exit(run(*sys.argv[1:]))
