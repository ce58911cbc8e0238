"""The first tables, and the identity of the database."""

import sqlalchemy as sa

from computed import chance
from computed.db.cell.migrations import steps

revision = 'a1'
down_revision = None


def upgrade() -> None:
    identity()
    hosts()
    instances()
    steps.create_table(
        'replica_heartbeats',
        sa.Column('conductor_id', sa.String(36), primary_key=True),
        sa.Column('heartbeat', sa.BigInteger, nullable=False),
        sa.Column('sent_at', sa.DateTime, nullable=False))


def identity() -> None:
    steps.create_table(
        'database_identity',
        sa.Column('id', sa.Integer, primary_key=True, autoincrement=False),
        sa.Column('uuid', sa.String(36), nullable=False))
    steps.insert('database_identity', {'id': 1}, uuid=chance.uuid())


def hosts() -> None:
    steps.create_table(
        'hosts',
        sa.Column('name', sa.String(255), primary_key=True),
        sa.Column('revision', sa.BigInteger, nullable=False),
        sa.Column('created_at', sa.DateTime, nullable=False))
    steps.insert('hosts', {'name': '(none)'}, revision=0,
                 created_at=sa.func.current_timestamp())
    steps.create_table(
        'services',
        sa.Column('host', sa.String(255), primary_key=True),
        sa.Column('service_id', sa.String(36), nullable=False),
        sa.Column('boot_id', sa.String(36), nullable=False),
        sa.Column('host_boot_id', sa.String(36), nullable=False),
        sa.Column('place', sa.String(64), nullable=False),
        sa.Column('began', sa.Double, nullable=False),
        sa.Column('version', sa.String(64), nullable=False),
        sa.Column('last_seen', sa.DateTime, nullable=False),
        sa.Column('heartbeat', sa.BigInteger, nullable=False),
        sa.Column('heard_at', sa.BigInteger, nullable=False),
        sa.Column('heard_listened', sa.BigInteger, nullable=False),
        sa.Column('digest', sa.Text, nullable=False))
    steps.create_table(
        'cell_clock',
        sa.Column('id', sa.Integer, primary_key=True, autoincrement=False),
        sa.Column('seconds', sa.BigInteger, nullable=False),
        sa.Column('listened', sa.BigInteger, nullable=False),
        sa.Column('listened_at', sa.BigInteger, nullable=False))
    steps.insert('cell_clock', {'id': 1}, seconds=0, listened=0, listened_at=0)
    steps.create_table(
        'compute_nodes',
        sa.Column('host', sa.String(255), primary_key=True),
        sa.Column('hypervisor_type', sa.String(64), nullable=False),
        sa.Column('hypervisor_version', sa.String(64), nullable=False),
        sa.Column('vcpus', sa.Integer, nullable=False),
        sa.Column('memory_mb', sa.Integer, nullable=False),
        sa.Column('disk_gb', sa.Integer, nullable=False),
        sa.Column('updated_at', sa.DateTime, nullable=False),
        sa.Column('revision', sa.BigInteger, nullable=False))


def instances() -> None:
    steps.create_table(
        'instances',
        sa.Column('uuid', sa.String(36), primary_key=True),
        sa.Column('name', sa.String(255), nullable=False),
        sa.Column('host', sa.String(255)),
        sa.Column('vm_state', sa.String(32), nullable=False),
        sa.Column('task_state', sa.String(32)),
        sa.Column('power_state', sa.Integer, nullable=False),
        sa.Column('command', sa.Text, nullable=False),
        sa.Column('vcpus', sa.Integer, nullable=False),
        sa.Column('memory_mb', sa.Integer, nullable=False),
        sa.Column('disk_gb', sa.Integer, nullable=False),
        sa.Column('network', sa.String(16), nullable=False),
        sa.Column('exit_code', sa.Integer),
        sa.Column('fault', sa.Text),
        sa.Column('created_at', sa.DateTime, nullable=False),
        sa.Column('task_state_since', sa.DateTime),
        sa.Column('state_counted_at', sa.BigInteger),
        sa.Column('build_started_at', sa.DateTime),
        sa.Column('launched_at', sa.DateTime),
        sa.Column('first_launched_at', sa.DateTime),
        sa.Column('updated_at', sa.DateTime, nullable=False),
        sa.Column('deleted_at', sa.DateTime),
        sa.Column('terminated_at', sa.DateTime),
        sa.Column('deleted', sa.Boolean, nullable=False),
        sa.Column('cleaned', sa.Boolean, nullable=False,
                  server_default=sa.false()),
        sa.Column('clean_attempts', sa.Integer, nullable=False,
                  server_default='0'),
        sa.Column('clean_failed', sa.Boolean, nullable=False,
                  server_default=sa.false()),
        sa.Column('revision', sa.BigInteger, nullable=False),
        sa.Column('claim_id', sa.String(36)),
        sa.Column('claim_owner', sa.String(80)),
        sa.Column('claimed_at', sa.DateTime),
        sa.Column('settled_claim_id', sa.String(36)))
    steps.create_index('instances_host_deleted_states_idx', 'instances',
                       ['host', 'deleted', 'vm_state', 'task_state'])
    steps.create_index('instances_name_idx', 'instances', ['name'])
    steps.create_index('instances_host_cleaned_idx', 'instances',
                       ['host', 'deleted', 'cleaned', 'uuid'])
    steps.create_index('instances_claim_owner_idx', 'instances',
                       ['claim_owner'])
    steps.create_index('instances_host_uuid_idx', 'instances',
                       ['host', 'uuid'])
