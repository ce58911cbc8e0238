"""Users: they create, command, rename, list and delete instances."""

import random
import uuid as uuid_module

from computed import context as computed_context
from computed import exception
from computed.conductor import client as conductor_client
from computed.objects import base
from computed.objects import instance as instance_obj
from computed.rpc import hostapi
from tests.schedules import hub
from tests.schedules import storage
from tests.schedules import wishes

# What a user does with an instance, by how often.
ACTIONS = ('stop', 'stop', 'start', 'start', 'reboot', 'reboot_hard',
           'pause', 'unpause', 'rename', 'list', 'list')
# And with one that can be restored.
OF_DELETED = ('restore', 'restore', 'restore', 'delete', 'list')

# The chance that a user uses the console instead.
CONSOLE = 0.1


class User:
    """A user with one instance at a time, on one host."""

    def __init__(self, cell, seed, number, thinks, deletes):
        """:param thinks: see :class:`tests.schedules.profiles.Profile`;
            ``deletes`` too
        """
        self._cell, self._judge = cell, cell.judge
        self._random = random.Random(f'{seed}/user {number}')
        self._machine = cell.machines[number % len(cell.machines)]
        self._process = cell.process(f'u{number}')
        self._guest, self._thinks, self._deletes = None, thinks, deletes
        self._volume = storage.UsersVolume(
            cell, seed, number, self._machine, self._ask)
        self.leaves = False

    def start(self):
        hub.running.spawn(self._process, self._run, name='user')

    def _run(self):
        self._transport = self._cell.transport(self._cell.conf_of_user())
        base.use_conductor(conductor_client.ConductorAPI(self._transport))
        self._hosts = hostapi.HostAPI(self._transport)
        while True:
            hub.running.sleep(self._random.random() ** 2 * self._thinks)
            if self.leaves:
                return
            guest = self._guest
            if guest is None or guest.wishes == {wishes.GONE} or (
                    guest.wishes == {wishes.DELETED} and
                    self._random.random() < 0.2):
                self._create()
                continue
            if self._volume.wanted():
                self._volume.use(self._hosts, guest)
                continue
            action = (self._random.choice(wishes.DELETES)
                      if self._random.random() < self._deletes else
                      self._random.choice(ACTIONS))
            if self._cell.tokens is not None and (
                    self._random.random() < CONSOLE):
                self._cell.tokens.use(guest, self._ask)
                continue
            if wishes.DELETED in guest.wishes:
                action = self._random.choice((action, *OF_DELETED))
            if action == 'rename':
                self._rename(guest)
            elif action == 'list':
                self._list()
            else:
                self._operate(guest, action)

    def _say(self, text):
        hub.running.tell(f'{self._process} {text}')

    def _create(self):
        uuid = str(uuid_module.UUID(int=self._random.getrandbits(128),
                                    version=4))
        guest = self._judge.creates(uuid, self._machine)
        self._say(f'creates {guest} on {self._machine.host}')
        row = instance_obj.Instance(
            computed_context.new(), uuid=uuid, name=f'g{guest}',
            host=self._machine.host, vm_state='building', power_state=0,
            command='x', vcpus=1, memory_mb=1, disk_gb=0, network='host')
        outcome = self._ask(row.create)
        if outcome == wishes.UNKNOWN:
            self._say(f'{guest} {outcome}, creates it again')
            # A refusal is of this request only.
            outcome = (wishes.ACCEPTED if self._ask(row.create) ==
                       wishes.ACCEPTED else wishes.UNKNOWN)
        self._say(f'{guest} {outcome}')
        self._judge.created(guest, outcome)
        if outcome == wishes.ACCEPTED:
            self._guest = guest
            self._operate(guest, 'build')

    def _operate(self, guest, op):
        request = self._judge.asks(guest, op)
        self._say(f'asks {op} {guest}')
        outcome = self._ask(lambda: self._hosts.operate(
            computed_context.new(), guest.machine.host,
            op.removesuffix('_hard').removeprefix('soft_'), guest.uuid,
            hard=op.endswith('_hard') or op == 'delete'))
        self._say(f'{op} {guest} {outcome}')
        self._judge.told(guest, request, outcome)

    def _ask(self, call):
        """Return what a user is told: accepted, refused or unknown."""
        try:
            call()
        except (exception.PeerFailed, exception.DatabaseFailed) as error:
            self._judge.fail('peer-failed', str(error))
            return wishes.UNKNOWN
        except exception.OutcomeUnknown:
            return wishes.UNKNOWN
        except exception.ComputedError as error:
            self._judge.looks[f'refused: {type(error).__name__}'] += 1
            # "Nothing was written" is true of the delivery that failed.
            twice = self._transport.delivered_twice and isinstance(
                error, exception.PrimaryUnavailable |
                exception.PrimaryReadOnly)
            return wishes.UNKNOWN if twice else wishes.REFUSED
        return wishes.ACCEPTED

    def _rename(self, guest):
        """Rename an instance, and look whether a tolerant list shows it."""
        context = computed_context.new()
        name = f'g{self._random.randrange(10 ** 9)}'

        def rename():
            row = instance_obj.Instance.get_by_uuid(context, guest.uuid,
                                                    use_slave=False)
            row.name, before = name, row.revision
            row.save()
            self._cell.rows.saved(guest.uuid, before, row.revision)
            found = instance_obj.InstanceList.get_by_host(
                context, guest.machine.host, use_slave=True)
            if not self._judge.losses:
                self._cell.reads.renamed(guest.machine.host, guest.uuid, name,
                                         row.revision, found)
        self._ask(rename)

    def _list(self):
        self._ask(lambda: instance_obj.InstanceList.get_by_host(
            computed_context.new(), self._machine.host, use_slave=True))
