"""The choice between native threads and eventlet, and the makers of threads.

The choice comes before any other import of oslo. oslo.messaging fixes the
backend of oslo.service when it is imported, and fixes the wrong one if none
was chosen. eventlet replaces what other modules take from the standard library
when they are imported. So every program, and the test suite, calls
:func:`choose` on its first line.

No other code asks which backend is used. Code is written for threads. It
waits by ``threading``, ``socket``, ``select.select`` or ``selectors``, which
eventlet replaces. It never waits by what eventlet does not replace:
``select.poll``, or an option of a socket.
"""

import argparse
import gc
import os
import sys
import threading
import types
import typing
import warnings
from collections import abc

if typing.TYPE_CHECKING:
    from concurrent import futures

THREADING, EVENTLET = BACKENDS = 'threading', 'eventlet'
# It has precedence over files: it is for this process and its children.
VARIABLE = 'COMPUTED_CONCURRENCY_BACKEND'
OPTION = 'concurrency_backend'

# For annotations only.
Thread = threading.Thread

_chosen: str | None = None
_problem: str | None = None


def choose(arguments: list[str] | None = None) -> None:
    """Choose the backend of this process.

    The environment decides, else the configuration; without either, native
    threads are used. They are also used if the wanted backend cannot be
    imported: then a program refuses to run when it reads its configuration
    (``validation.check_backend``). A second call does nothing.

    :param arguments: of the program, which may name configuration files;
        None: only the environment counts
    :raises oslo_service.backend.exceptions.BackendAlreadySelected: an earlier
        import chose another backend
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
        # Some libraries import it only because it is installed, and print
        # eight lines of deprecation. So it is hidden.
        sys.modules.setdefault('eventlet', None)  # type: ignore[arg-type]
    from oslo_service import backend  # must come after all of the above
    backend.init_backend(backend.BackendType(_chosen))


def chosen() -> str | None:
    """Return the backend of this process; None: not chosen yet."""
    return _chosen


def problem() -> str | None:
    """Return why the wanted backend cannot be used; None: it can."""
    return _problem


def thread(name: str, target: abc.Callable[..., object],
           *args: object) -> Thread:
    """Return a thread that runs ``target(*args)`` once it is started.

    It is a daemon thread: one that hangs does not keep the process from
    ending. This function and its neighbours are the only makers of threads,
    so that a test can own them; the lint step checks this.

    :param name: shown in logs and by debuggers
    """
    return threading.Thread(target=target, args=args, name=name, daemon=True)


def native_thread(name: str, target: abc.Callable[..., object]) -> Thread:
    """Return a thread as :func:`thread` does, but a native one always.

    Under eventlet it may block. It must not take locks of ``threading`` that
    other threads hold.
    """
    made = threading
    if _chosen == EVENTLET:
        from eventlet import patcher
        made = patcher.original('threading')
    return made.Thread(target=target, name=name, daemon=True)


def executor(name: str, workers: int) -> 'futures.ThreadPoolExecutor':
    """Return a pool of at most ``workers`` threads.

    :param name: how the names of its threads begin
    """
    # Not at the top: its module makes locks that eventlet must replace.
    from concurrent import futures
    return futures.ThreadPoolExecutor(workers, thread_name_prefix=name)


def frame_of(thread: int) -> types.FrameType | None:
    """Return the frame that a thread executes now.

    :param thread: what ``threading.get_ident()`` returned in it
    :returns: None: the thread has ended
    """
    if _chosen != EVENTLET:
        return sys._current_frames().get(thread)
    import greenlet
    # There is no list of greenlets. This is called only once in a hang.
    return next((found.gr_frame for found in gc.get_objects()
                 if isinstance(found, greenlet.greenlet)
                 and id(found) == thread), None)


def _configured(arguments: list[str]) -> str | None:
    """Return the backend that the configuration names.

    :returns: None: the configuration cannot be read. The program reports the
        error when it reads the configuration itself.
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


def _make_green() -> None:
    with warnings.catch_warnings():
        # setup.configure logs in one line what eventlet prints in eight
        warnings.simplefilter('ignore')
        import eventlet
    eventlet.monkey_patch()
