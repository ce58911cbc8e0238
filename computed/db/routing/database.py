"""Where each read and write goes: query functions say what they are.

They are decorated :func:`read`, :func:`write` or :func:`liveness` and find
``context.session`` open on the right server, chosen by the router.
"""

import functools

from oslo_db.sqlalchemy import enginefacade

from computed import context as computed_context

# The context carries its transaction only where there is a database.
enginefacade.transaction_context_provider(computed_context.RequestContext)


def record_revision(context, host, revision):
    """Record that the rows just read or written belong to this revision.

    Call it inside a query function. On a read it must come from the same
    statement as the rows, or a change in between would go unseen.
    """
    if host is not None and revision is not None:
        context.db_scope.revisions[host] = revision


def undo(context):
    """Roll back what the open write did: nothing of it was needed.

    Otherwise a revision that was never given would be waited for.
    """
    context.session.rollback()
    context.db_scope.revisions.clear()


def query_name(function):
    """How a query function is called in metrics: ``host.get``."""
    module = function.__module__.rpartition('.')[2]
    return f'{module}.{function.__name__.lstrip("_")}'


_router = None


def configure(router):
    """Make ``router`` the one that query functions use."""
    global _router
    _router = router


def read(function):
    """Let a query function be answered where its context allows."""
    query = query_name(function)

    @functools.wraps(function)
    def wrapper(context, *args, **kwargs):
        return _router.read(query, function, context, args, kwargs)
    return wrapper


def write(function):
    """Let a statement function run in a transaction on the primary.

    :raises computed.exception.ReadOnlyScope: in a lag-tolerant context or
        inside a read
    :raises computed.exception.PrimaryUnavailable: nothing was written
    :raises computed.exception.PrimaryReadOnly: nothing was written
    :raises computed.exception.WriteConflict: nothing was written
    :raises computed.exception.CommitUnknown: the commit got no answer
    """
    @functools.wraps(function)
    def wrapper(context, *args, **kwargs):
        return _router.write(function, context, args, kwargs)
    return wrapper


def liveness(function, **options):
    """As :func:`write`, on a connection that only heartbeats use."""
    @functools.wraps(function)
    def wrapper(context, *args, **kwargs):
        return _router.write(function, context, args, kwargs,
                             heartbeat=True, **options)
    return wrapper


# As the former, of this conductor itself: it waits behind nobody.
own_liveness = functools.partial(liveness, ours=True)


def database_id():
    """Which database this conductor answers for; None before it knows."""
    return _router.incarnation.database_id
