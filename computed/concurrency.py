"""Native threads or eventlet: chosen here, before any other oslo import.

oslo.messaging freezes oslo.service's backend the moment it is imported, and
freezes the wrong one unless somebody chose before; and eventlet replaces what
other modules take from the standard library when they are imported. So every
program, and the test suite, calls :func:`choose` on its first line.

Nothing else asks which of the two it is. Code is written for threads, waits
by ``threading``, ``socket``, ``select.select`` or ``selectors``, which
eventlet replaces, and never by what it does not: ``select.poll``, or an
option of a socket.
"""

import argparse
import gc
import os
import sys
import threading
import warnings
from collections import abc
from concurrent import futures

THREADING, EVENTLET = BACKENDS = 'threading', 'eventlet'
# Wins over the files: it is for this one process and those it starts.
VARIABLE = 'COMPUTED_CONCURRENCY_BACKEND'
OPTION = 'concurrency_backend'

_chosen = None
_problem = None


def choose(arguments=None):
    """Make this process use the backend that was asked for.

    By the environment, else by the configuration, else native threads. They
    are used, too, if what was asked for cannot be had: a program that comes
    to its configuration refuses to run then (``validation.check_backend``).
    Calling twice is harmless: the first call holds.

    :param arguments: of the program, which may name configuration files;
        None: only the environment counts
    :raises oslo_service.backend.exceptions.BackendAlreadySelected: another
        import came first and chose another backend.
    """
    global _chosen, _problem
    if _chosen is not None:
        return
    wanted = os.environ.get(VARIABLE)
    if not wanted and arguments is not None:
        wanted = _configured(arguments)
    _chosen = THREADING
    if wanted == EVENTLET:
        try:
            _make_green()
            _chosen = EVENTLET
        except ImportError as error:
            _problem = f'eventlet cannot be imported ({error})'
    if _chosen == THREADING:
        # Hidden, because some libraries import it merely because it is
        # installed, and print eight lines of deprecation for it.
        sys.modules.setdefault('eventlet', None)  # type: ignore[arg-type]
    from oslo_service import backend  # must come after all of the above
    backend.init_backend(backend.BackendType(_chosen))


def chosen():
    """The backend of this process; None: nobody chose yet."""
    return _chosen


def problem():
    """Why what was asked for cannot be had; None: it was not tried."""
    return _problem


def thread(name: str, target: abc.Callable[..., object],
           *args: object) -> threading.Thread:
    """A thread that runs ``target(*args)`` once it is started.

    It is a daemon thread: one that hangs does not keep the process from
    ending. This function and :func:`executor` are the only makers of threads,
    so that a test can own them; a rule of the lint step says so.

    :param name: shown in logs and by debuggers
    """
    return threading.Thread(target=target, args=args, name=name, daemon=True)


def executor(name: str, workers: int) -> futures.ThreadPoolExecutor:
    """A pool of at most ``workers`` threads.

    :param name: how the names of its threads begin
    """
    return futures.ThreadPoolExecutor(workers, thread_name_prefix=name)


def frame_of(thread):
    """Where a thread is.

    :param thread: as ``threading.get_ident()`` named it
    :returns: a frame, or None if the thread has ended
    """
    if _chosen != EVENTLET:
        return sys._current_frames().get(thread)
    import greenlet
    # Nobody keeps a list of them. Asked for once in a hang, no more.
    return next((found.gr_frame for found in gc.get_objects()
                 if isinstance(found, greenlet.greenlet)
                 and id(found) == thread), None)


def _configured(arguments):
    """The backend that the configuration asks for; None: it cannot be read.

    Whoever reads the configuration in earnest says what is wrong with it.
    """
    from oslo_config import cfg
    parser = argparse.ArgumentParser(
        add_help=False, allow_abbrev=False, exit_on_error=False)
    conf = cfg.ConfigOpts()
    conf.register_opt(cfg.StrOpt(OPTION))
    for name in ('--config-file', '--config-dir'):
        parser.add_argument(name, action='append', default=[])
    try:
        found, _ = parser.parse_known_args(arguments)
        conf([f'--{name.replace("_", "-")}={path}'
              for name, paths in vars(found).items() for path in paths],
             project='computed')
        return conf[OPTION]
    except (argparse.ArgumentError, cfg.Error, OSError, ValueError):
        return None


def _make_green():
    with warnings.catch_warnings():
        # setup.configure says in one line what it says in eight
        warnings.simplefilter('ignore')
        import eventlet
    eventlet.monkey_patch()
