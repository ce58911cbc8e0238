"""_cleanup_expired_console_auth_tokens: delete tokens that admit nobody."""

import typing

from computed import context as computed_context
from computed import periodic
from computed.objects import console_token as token_obj

if typing.TYPE_CHECKING:
    from computed import manager as manager_module


@periodic.periodic_task(spacing='instance_delete_interval', reads={
    'whether a token of an instance of its host has expired': 'R0'})
def cleanup_expired_console_auth_tokens(
        manager: 'manager_module.ComputeManager',
        context: computed_context.RequestContext) -> periodic.Report:
    """Delete the tokens of this host's instances that have expired.

    A token is checked at each use, so a row that stays admits nobody. The
    read is R0: an old answer only makes the deletion late. What is deleted,
    the primary decides by its own clock.
    """
    report = periodic.Report()
    if not token_obj.ConsoleToken.get_expired(
            context, manager.host, use_slave=True):
        return report
    # From here on the primary alone says what is left.
    while deleted := token_obj.ConsoleToken.delete_expired(
            context, manager.host):
        report.recorded += deleted
        if manager.stopping.is_set():
            break
    return report
