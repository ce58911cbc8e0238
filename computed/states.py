"""The names of the states of an instance.

``vm_state`` is the state that the user sees. ``task_state`` is the transition
in progress; ``None``: there is none. ``power_state`` is what the hypervisor
reported last. Names and numbers are those of nova, which are common in the
field.
"""

# vm_state
BUILDING = 'building'
ACTIVE = 'active'
PAUSED = 'paused'
SUSPENDED = 'suspended'
STOPPED = 'stopped'
RESCUED = 'rescued'
RESIZED = 'resized'
SOFT_DELETED = 'soft-delete'
DELETED = 'deleted'
ERROR = 'error'
SHELVED = 'shelved'
SHELVED_OFFLOADED = 'shelved_offloaded'

VM_STATES = (
    BUILDING, ACTIVE, PAUSED, SUSPENDED, STOPPED, RESCUED, RESIZED,
    SOFT_DELETED, DELETED, ERROR, SHELVED, SHELVED_OFFLOADED)

# task_state
SPAWNING = 'spawning'
POWERING_ON = 'powering-on'
POWERING_OFF = 'powering-off'
REBOOTING = 'rebooting'
REBOOTING_HARD = 'rebooting_hard'
PAUSING = 'pausing'
UNPAUSING = 'unpausing'
DELETING = 'deleting'
ATTACHING = 'attaching'
DETACHING = 'detaching'
SOFT_DELETING = 'soft-deleting'
RESTORING = 'restoring'

# The status of an attachment of a volume has two of these names, and this.
ATTACHED = 'attached'

# power_state
NOSTATE = 0
RUNNING = 1
POWER_PAUSED = 3
SHUTDOWN = 4
CRASHED = 6
POWER_SUSPENDED = 7

# Power states of a guest that is on, and of one that has ended. NOSTATE is
# neither.
ON = (RUNNING, POWER_PAUSED, POWER_SUSPENDED)
OFF = (SHUTDOWN, CRASHED)

POWER_STATE_NAMES = {
    NOSTATE: 'NOSTATE',
    RUNNING: 'RUNNING',
    POWER_PAUSED: 'PAUSED',
    SHUTDOWN: 'SHUTDOWN',
    CRASHED: 'CRASHED',
    POWER_SUSPENDED: 'SUSPENDED',
}


def power_name(number: int) -> str:
    """Return the name of a power state, or the number of an unknown one."""
    return POWER_STATE_NAMES.get(number, str(number))

# Stands for the database's own time among values to be written.
NOW = '@now'
