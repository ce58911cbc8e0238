"""Suggest the nearest name that is known, if a user names an unknown one."""

import difflib
import typing
from collections import abc

from computed import context as request_context
from computed import exception
from computed.objects import host as host_obj
from computed.objects import instance as instance_obj
from computed.objects import volume as volume_obj

# How many names are compared. A longer list is not read for an error message.
LIMIT = 1000

# Returns names that can be meant.
Known: typing.TypeAlias = abc.Callable[[], abc.Iterable[str]]
# The class of an error, which of its values is the name, the known names.
Source: typing.TypeAlias = tuple[
    type[exception.ComputedError], str, Known]


def instances(context: request_context.RequestContext) -> list[str]:
    """Return the names of the first instances."""
    return [one.name for one in instance_obj.InstanceList.get_all(
        context, limit=LIMIT, use_slave=True)]


def hosts(context: request_context.RequestContext) -> list[str]:
    """Return the names of the first hosts."""
    return [one.name for one in host_obj.HostList.get_all(
        context, limit=LIMIT, use_slave=True)]


def volumes(context: request_context.RequestContext) -> list[str]:
    """Return the names of the first volumes."""
    return [one.name for one in volume_obj.VolumeList.get_all(
        context, limit=LIMIT, use_slave=True)]


def nearest(wanted: str, known: abc.Iterable[str]) -> str | None:
    """Return the known name that is most like the wanted one.

    None if no name is like it, or if the wanted one is known.
    """
    known = list(known)
    if wanted in known:
        return None
    names = {name.lower(): name for name in known}
    found = difflib.get_close_matches(wanted.lower(), names, n=1)
    return names[found[0]] if found else None


def explained(error: exception.ComputedError,
              sources: abc.Iterable[Source]) -> str:
    """Return the text of an error, with the name that the user may mean.

    :param sources: if the known names of one cannot be had, nothing is
        suggested
    """
    for cls, field, known in sources:
        if isinstance(error, cls):
            try:
                found = nearest(str(error.kwargs.get(field)), known())
            except exception.ComputedError:
                break
            return str(error) + (f' Do you mean {found}?' if found else '')
    return str(error)
