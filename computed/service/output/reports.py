"""A Guru Meditation Report: what this process is doing now.

It has the stack of each thread, the processes, and the configuration without
secrets. oslo.reports writes it inside of a handler of signals, which would
hold up the main thread; here a thread makes it.
"""

import contextlib
import itertools
import os
import threading
import time

from oslo_config import cfg

import computed
from computed import files
from computed.service.output import outlet


class Version:
    """What a report says about the program."""

    def __init__(self, prog: str) -> None:
        self._prog = prog

    def vendor_string(self) -> str:
        """Return who made it."""
        return 'computed'

    def product_string(self) -> str:
        """Return which program it is."""
        return self._prog

    def version_string_with_package(self) -> str:
        """Return its version."""
        return computed.__version__


def write(conf: cfg.ConfigOpts) -> str:
    """Write a report to ``[oslo_reports] log_dir``, else to standard error.

    :returns: where it was written
    :raises OSError: the file cannot be written
    """
    # Few programs ever need it, and its import takes time.
    from oslo_reports import guru_meditation_report
    report = guru_meditation_report.TextGuruMeditation(
        Version(conf.prog))
    # Threads of a report have numbers only.
    report.add_section('Names of threads', _names)
    report.start_section_index = len(report.sections)
    text = report.run()
    folder = conf.oslo_reports.log_dir
    if not folder:
        outlet.to_stderr(text)
        return 'standard error'
    moment = time.strftime('%Y%m%d%H%M%S')
    path, descriptor = _new_file(files.below(
        folder, f'{conf.prog}_gurumeditation_{moment}_{os.getpid()}'))
    with open(descriptor, 'w', encoding='utf-8') as stream:
        stream.write(text)
    return path


def _new_file(path: str) -> tuple[str, int]:
    """Return the path and the descriptor of a new file.

    Several reports may be written within one second.
    """
    for number in itertools.count(1):
        name = path if number == 1 else f'{path}_{number}'
        with contextlib.suppress(FileExistsError):
            return name, files.open_private(
                name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    raise AssertionError        # the numbers do not end


def _names() -> str:
    return '\n'.join(f'{thread.ident}: {thread.name}'
                     for thread in threading.enumerate())
