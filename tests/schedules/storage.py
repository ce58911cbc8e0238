"""Volumes, who has them, and what they are used for: I12.

The judge's own figures: what each guest has used is what the driver was told
to count, whether an answer with it arrived or not.
"""

import collections
import random
import uuid as uuid_module

from computed import context as computed_context
from computed.objects import volume as volume_obj
from computed.virt import memory
from tests.schedules import hub
from tests.schedules import wishes

# How often a user does something with a volume instead of something else.
CHANCE = 0.3
INTERVAL = 5


class Storage:
    """What is true of volumes, and what the primary says of it.

    :ivar recorded: ``{(uuid of a guest, id of a volume): bytes}``
    """

    def __init__(self, cell, seed):
        self._cell = cell
        self._random = random.Random(f'{seed}/storage')
        # {(uuid of a guest, id of a volume): bytes that it has read}
        self._used = collections.Counter()
        self.recorded = {}

    def before_look(self, machine, uuids):
        """Guests use their volumes just before they are asked."""
        guests = machine.guests
        for uuid, volume_id in guests.volumes:
            if uuid in uuids and any(
                    (one.uuid, one.volume_id) == (uuid, volume_id)
                    for one in guests.block_counters()):
                count = self._random.randrange(1, 1000)
                guests.use_volume(uuid, volume_id, rd_bytes=count)
                self._used[uuid, volume_id] += count

    def changes(self, machine, act, volume_id):
        """A guest is about to get or to lose a volume: it is recorded."""
        judge_, primary = self._cell.judge, self._cell.cluster.primary
        if judge_.losses or (act.what == 'detach_volume' and (
                act.uuid, volume_id) not in machine.guests.volumes):
            return
        if [row['instance_uuid'] for row in primary.rows(
                'SELECT * FROM block_device_mapping')
                if row['volume_id'] == volume_id] != [act.uuid]:
            judge_.fail('unrecorded', f'{act.what} {volume_id[:4]} of '
                        f'{act.uuid[:4]} under {act.operation}')

    def changed(self, machine, volume_id):
        """A guest got or lost a volume."""
        self._cell.judge.looks['volume'] += 1
        owners = [uuid for uuid, found in machine.guests.volumes
                  if found == volume_id]
        if len(owners) > 1:
            self._cell.judge.fail('volume-twice',
                                  f'{volume_id[:4]} of {owners}')

    def committed(self, server):
        """Judge a commit that counts: nothing twice, and nothing lost."""
        losses = self._cell.judge.losses
        for row in server.rows('SELECT * FROM volume_usage'):
            key = row['instance_uuid'], row['volume_id']
            total, before = row['rd_bytes'], self.recorded.get(key, 0)
            self.recorded[key] = total
            self._cell.judge.looks['usage'] += 1
            if losses:
                continue
            if total > self._used[key]:
                self._cell.judge.fail('counted-twice', f'{total} of '
                                      f'{self._used[key]} on {key[1][:4]}')
            if total < before:
                self._cell.judge.fail('usage-fell', f'{before} to {total} on '
                                      f'{key[1][:4]}')

    def problems(self, serving):
        """Yield what does not hold after a time of calm."""
        if self._cell.judge.losses:
            return
        primary = self._cell.cluster.primary
        owners = {row['volume_id']: row['instance_uuid'] for row
                  in primary.rows('SELECT * FROM block_device_mapping')}
        counted = {(row['instance_uuid'], row['volume_id']) for row
                   in primary.rows('SELECT * FROM volume_usage')}
        for row in primary.rows('SELECT * FROM instances'):
            if row['deleted'] and not row['guest_left'] and (
                    row['uuid'] in owners.values()):
                yield 'attachment-of-nobody', row['uuid'][:4]
        for machine in serving:
            for uuid, volume_id in machine.guests.volumes:
                if owners.get(volume_id) != uuid:
                    yield 'volume-without-record', (
                        f'{volume_id[:4]} of {uuid[:4]}')
            for one in machine.guests.block_counters():
                if one.rd_bytes and (one.uuid, one.volume_id) not in counted:
                    yield 'not-counted', f'{one.volume_id[:4]}'


class UsersVolume:
    """The one volume of a user."""

    def __init__(self, cell, seed, number, machine, ask):
        """:param ask: returns what a user is told of a call"""
        self._random = random.Random(f'{seed}/volume {number}')
        self._machine, self._ask = machine, ask
        self._on = cell.storage is not None
        self._number, self._uuid, self._next = number, None, 'attach'

    def wanted(self):
        """Return whether the user does something with it now."""
        return self._on and self._random.random() < CHANCE

    def use(self, hosts, guest):
        """Make it first; then attach or detach it."""
        context = computed_context.new()
        if self._uuid is None:
            uuid = str(uuid_module.UUID(
                int=self._random.getrandbits(128), version=4))
            if self._ask(lambda: volume_obj.Volume.create(
                    context, uuid, 'data', self._machine.host,
                    f'/srv/{self._number}')) == wishes.ACCEPTED:
                self._uuid = uuid
            return
        what = self._next
        hub.running.tell(f'user {self._number} asks {what} {guest}')
        outcome = self._ask(lambda: hosts.change_volume(
            context, guest.machine.host, what, guest.uuid, self._uuid))
        # A refusal may mean that it is as wanted, or of another guest.
        if outcome != wishes.UNKNOWN:
            self._next = 'detach' if what == 'attach' else 'attach'


def act(driver, name, claim, *arguments):
    """Attach or detach by the memory driver, while the judge looks."""
    machine, cell = driver.machine, driver.machine.cell
    found = wishes.Act(claim.uuid, name, (machine.name, machine.lives),
                       claim.claim_id, claim.operation)
    cell.judge.begins(found)
    hub.running.point()
    cell.weather.delay_act()
    volume_id = getattr(arguments[0], 'volume_id', arguments[0])
    if cell.storage is not None:
        cell.storage.changes(machine, found, volume_id)
    try:
        getattr(memory.MemoryDriver, name)(driver, claim, *arguments)
    finally:
        if not hub.running.over:
            cell.judge.ended(found)
    if cell.storage is not None:
        cell.storage.changed(machine, volume_id)
    cell.weather.delay_act()
    hub.running.point()
