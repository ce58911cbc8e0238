"""Columns of compute nodes for what is reserved, promised and used."""

import typing

import sqlalchemy as sa

from computed.db.cell.migrations import steps

revision = 'a2'
down_revision = 'a1'

CLASSES = ('vcpus', 'memory_mb', 'disk_gb')


def upgrade() -> None:
    # NULL or a default, because the previous release also writes rows.
    add('service_id', sa.String(36))
    add('generation', sa.BigInteger, nullable=False, server_default='0')
    for name in CLASSES:
        add(f'{name}_reserved', sa.Integer)
        add(f'{name}_allocation_ratio', sa.Double)
        add(f'{name}_used', sa.BigInteger)
        add(f'{name}_claimed', sa.BigInteger)
    add('memory_mb_available', sa.Integer)
    add('disk_gb_free', sa.Integer)
    steps.create_index('compute_nodes_service_id_idx', 'compute_nodes',
                       ['service_id'])


def add(name: str, kind: typing.Any, **more: typing.Any) -> None:
    steps.add_column('compute_nodes', sa.Column(name, kind, **more))
