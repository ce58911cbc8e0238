"""Errors that our code logs with a traceback: it did not expect them."""

import logging

from computed import exception
from tests.schedules import hub


class Faults(logging.Handler):
    """Keeps each as a failure of the process that logged it."""

    def emit(self, record):
        error = record.exc_info and record.exc_info[1]
        here = hub.running
        if error and here is not None and here.current is not None and (
                not isinstance(error, exception.ComputedError)):
            here.current.process.failures.append(
                (record.getMessage(), error))
