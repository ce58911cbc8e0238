"""Indexes for a page of instances from any place of the list."""

from computed.db.cell.migrations import steps

revision = 'a4'
down_revision = 'a3'


def upgrade() -> None:
    for name, first in (('instances_page_idx', []),
                        ('instances_host_page_idx', ['host']),
                        ('instances_vm_state_page_idx', ['vm_state'])):
        steps.create_index(name, 'instances',
                           [*first, 'deleted', 'name', 'uuid'])
