"""What peers can ask of a host's periodic tasks over RPC."""

import typing
from concurrent import futures

from computed import context as computed_context
from computed import exception
from computed import manager
from computed.periodic import runner
from computed.rpc import endpoint


class TaskEndpoint:
    """Lists and runs the tasks of a runner."""

    target = manager.ComputeManager.target

    def __init__(self, task_runner: runner.Runner, timeout: float) -> None:
        """:param timeout: seconds to wait for a run"""
        self._runner = task_runner
        self._timeout = timeout

    @endpoint.exposed
    def list_tasks(self, context: computed_context.RequestContext
                   ) -> list[dict[str, typing.Any]]:
        """Return each task: see ``Runner.describe``."""
        return self._runner.describe()

    @endpoint.exposed
    def get_task_history(self, context: computed_context.RequestContext,
                         name: str) -> list[dict[str, typing.Any]]:
        """Return the last runs of a task: see ``Runner.history``."""
        return [record.as_dict()
                for record in self._runner.history(name)]

    @endpoint.exposed_act
    def run_task(self, context: computed_context.RequestContext, name: str,
                 accept: int | None = None) -> dict[str, typing.Any]:
        """Run a task now; return the record of the run.

        :param accept: how many repairs above the brake to accept
        :raises computed.exception.OutcomeUnknown: it takes too long
        :raises computed.exception.HostUnavailable: the service ends
        """
        done = self._runner.trigger(name, accept=accept)
        try:
            return done.result(self._timeout).as_dict()
        except futures.TimeoutError:
            # The caller has gone. The repairs that it accepts now must not
            # be accepted for a run that begins hours later.
            done.cancel()
            raise exception.OutcomeUnknown(
                method=f'run of {name}', timeout=self._timeout) from None
        except futures.CancelledError:
            raise exception.HostUnavailable(
                host=self._runner.manager.host) from None
