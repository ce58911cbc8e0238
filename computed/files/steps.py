"""The steps of a write, between which a test may stand."""

import contextlib
import os
from collections import abc

# Called with the name of a step and a path, before and after the step.
Hook = abc.Callable[[str, str], None]


def _no_hook(step: str, path: str) -> None:
    pass


_hook: Hook = _no_hook


def use_hook(hook: Hook | None) -> None:
    """Call ``hook`` around each step from now on; for tests.

    It is called with ``'before STEP'`` or ``'after STEP'`` and the path of
    the file. Steps are ``write``, ``fsync``, ``rename``, ``unlink`` and
    ``fsync folder``. A step that fails is not followed by ``after``.

    :param hook: None: call nothing
    """
    global _hook
    _hook = hook or _no_hook


@contextlib.contextmanager
def step(name: str, path: str) -> abc.Iterator[None]:
    """Tell the hook about a step, which the body does."""
    _hook(f'before {name}', path)
    yield
    _hook(f'after {name}', path)


def sync_folder(path: str) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path or '.', os.O_RDONLY | os.O_DIRECTORY)
    try:
        with step('fsync folder', path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
