"""What a service takes from its machine and its installation."""

import dataclasses
import typing
from collections import abc

from oslo_config import cfg

from computed import metrics as computed_metrics
from computed import periodic
from computed.notifications import outbox
from computed.rpc import notifier
from computed.rpc import transport
from computed.service import identity
from computed.service import notify
from computed.service import plugins
from computed.service import state_lock
from computed.service.output import console
from computed.virt import driver

if typing.TYPE_CHECKING:
    # A host loads no SQL.
    from computed.db.routing import nodes


@dataclasses.dataclass
class Surroundings:
    """The parts of a service that a test or a simulator replaces.

    :ivar make_transport: returns the way to and from other processes
    :ivar make_channel: returns the way to consumers of notifications
    :ivar connect: makes each connection to a database; None: the driver does
    :ivar metrics: where this service counts
    :ivar waiting: gets why a start takes long, and the seconds to allow
    :ivar lock: keeps other services off a state path until it is closed
    :ivar boot_id_path: a file that names this start of the machine
    :ivar load_tasks: adds the tasks of other packages
    :ivar load_driver: returns the class of the configured driver
    :ivar hello: greets a person at the terminal
    :ivar goodbye: tells that person what keeps running
    """

    make_transport: abc.Callable[
        [cfg.ConfigOpts], transport.Transport] = transport.make
    make_channel: abc.Callable[
        [cfg.ConfigOpts, str], outbox.Channel | None] = notifier.make
    connect: 'nodes.Creator | None' = None
    metrics: computed_metrics.Registry = dataclasses.field(
        default_factory=computed_metrics.Registry)
    waiting: abc.Callable[[str, int], None] = notify.waiting
    lock: abc.Callable[[str], state_lock.Lock] = state_lock.take
    boot_id_path: str = identity.BOOT_ID
    load_tasks: abc.Callable[
        [cfg.ConfigOpts, dict[str, periodic.PeriodicTask]],
        dict[str, periodic.PeriodicTask]] = plugins.load_tasks
    load_driver: abc.Callable[
        [cfg.ConfigOpts], type[driver.ComputeDriver]] = plugins.load_driver
    hello: abc.Callable[..., None] = console.hello
    goodbye: abc.Callable[..., None] = console.goodbye
