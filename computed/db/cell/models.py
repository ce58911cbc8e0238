"""The tables. The migrations make them; a test compares the two."""

import typing

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.ext import compiler

# Changes of rows that belong to no host are counted here.
NO_HOST = '(none)'
# What stands for all of them; no host has such a name either.
ALL_HOSTS = '(all)'


@compiler.compiles(sa.String, 'postgresql')
@compiler.compiles(sa.Text, 'postgresql')
def _text_postgresql(element, visitor, **kwargs):
    # Names are ordered bytewise, as on the other engines, whatever the
    # locale of the database. Only where a table's column is made.
    visit = getattr(visitor, f'visit_{element.__visit_name__}')
    made = visit(element, **kwargs)
    if kwargs.get('type_expression') is None or element.collation:
        return made
    return f'{made} COLLATE "C"'


class Base(orm.DeclarativeBase):
    # Binary collation: 'web' and 'Web' are two names, on every engine.
    __table_args__: typing.Any = {
        'mysql_engine': 'InnoDB', 'mysql_charset': 'utf8mb4',
        'mysql_collate': 'utf8mb4_bin'}


class Database(Base):
    """One row: which database this is, and in which of its lives."""

    __tablename__ = 'databases'

    id = sa.Column(sa.Integer, primary_key=True, autoincrement=False)
    uuid = sa.Column(sa.String(36), nullable=False)
    # See computed.db.routing.incarnation; empty until a conductor has looked.
    incarnation = sa.Column(sa.String(36))
    lineage = sa.Column(sa.String(255))


class Host(Base):
    """One row a host; ``revision`` counts changes of what rests on it."""

    __tablename__ = 'hosts'

    name = sa.Column(sa.String(255), primary_key=True)
    revision = sa.Column(sa.BigInteger, nullable=False)
    created_at = sa.Column(sa.DateTime, nullable=False)


class Service(Base):
    """The daemon of a host: who it is, when it was last heard of."""

    __tablename__ = 'services'

    host = sa.Column(sa.String(255), primary_key=True)
    service_id = sa.Column(sa.String(36), nullable=False)
    boot_id = sa.Column(sa.String(36), nullable=False)
    host_boot_id = sa.Column(sa.String(36), nullable=False)
    version = sa.Column(sa.String(64), nullable=False)
    last_seen = sa.Column(sa.DateTime, nullable=False)
    digest = sa.Column(sa.Text, nullable=False)


class ComputeNode(Base):
    """What a host has, what of it is promised, and what is in use.

    Empty columns: a host whose service is older than they are.
    """

    __tablename__ = 'compute_nodes'
    __table_args__ = (
        sa.Index('compute_nodes_service_id_idx', 'service_id'),
        Base.__table_args__,
    )

    host = sa.Column(sa.String(255), primary_key=True)
    hypervisor_type = sa.Column(sa.String(64), nullable=False)
    hypervisor_version = sa.Column(sa.String(64), nullable=False)
    vcpus = sa.Column(sa.Integer, nullable=False)
    memory_mb = sa.Column(sa.Integer, nullable=False)
    disk_gb = sa.Column(sa.Integer, nullable=False)
    updated_at = sa.Column(sa.DateTime, nullable=False)
    revision = sa.Column(sa.BigInteger, nullable=False)
    # Whose node it is: the identity that its host keeps on its own disk.
    service_id = sa.Column(sa.String(36))
    # Counts writes; the guard of the next one.
    generation = sa.Column(sa.BigInteger, nullable=False,
                           server_default='0')
    vcpus_reserved = sa.Column(sa.Integer)
    memory_mb_reserved = sa.Column(sa.Integer)
    disk_gb_reserved = sa.Column(sa.Integer)
    # Not Float: MariaDB's gives back six digits, and what differs from what
    # was written is written again each time.
    vcpus_allocation_ratio = sa.Column(sa.Double)
    memory_mb_allocation_ratio = sa.Column(sa.Double)
    disk_gb_allocation_ratio = sa.Column(sa.Double)
    # A sum may be greater than any one of what was summed.
    vcpus_used = sa.Column(sa.BigInteger)
    memory_mb_used = sa.Column(sa.BigInteger)
    disk_gb_used = sa.Column(sa.BigInteger)
    vcpus_claimed = sa.Column(sa.BigInteger)
    memory_mb_claimed = sa.Column(sa.BigInteger)
    disk_gb_claimed = sa.Column(sa.BigInteger)
    memory_mb_available = sa.Column(sa.Integer)
    disk_gb_free = sa.Column(sa.Integer)


class Instance(Base):
    __tablename__ = 'instances'
    __table_args__ = (
        sa.Index('instances_host_deleted_states_idx', 'host', 'deleted',
                 'vm_state', 'task_state'),
        sa.Index('instances_name_idx', 'name'),
        sa.Index('instances_claim_owner_idx', 'claim_owner'),
        # Lists by (name, uuid), page by page: of all, of a host, in a state.
        sa.Index('instances_page_idx', 'deleted', 'name', 'uuid'),
        sa.Index('instances_host_page_idx', 'host', 'deleted', 'name',
                 'uuid'),
        sa.Index('instances_vm_state_page_idx', 'vm_state', 'deleted',
                 'name', 'uuid'),
        Base.__table_args__,
    )

    uuid = sa.Column(sa.String(36), primary_key=True)
    name = sa.Column(sa.String(255), nullable=False)
    host = sa.Column(sa.String(255))
    vm_state = sa.Column(sa.String(32), nullable=False)
    task_state = sa.Column(sa.String(32))
    power_state = sa.Column(sa.Integer, nullable=False)
    command = sa.Column(sa.Text, nullable=False)
    vcpus = sa.Column(sa.Integer, nullable=False)
    memory_mb = sa.Column(sa.Integer, nullable=False)
    disk_gb = sa.Column(sa.Integer, nullable=False)
    network = sa.Column(sa.String(16), nullable=False)
    exit_code = sa.Column(sa.Integer)
    fault = sa.Column(sa.Text)
    created_at = sa.Column(sa.DateTime, nullable=False)
    launched_at = sa.Column(sa.DateTime)
    updated_at = sa.Column(sa.DateTime, nullable=False)
    deleted_at = sa.Column(sa.DateTime)
    deleted = sa.Column(sa.Boolean, nullable=False)
    revision = sa.Column(sa.BigInteger, nullable=False)
    claim_id = sa.Column(sa.String(36))
    claim_owner = sa.Column(sa.String(80))
    claimed_at = sa.Column(sa.DateTime)


class GuestClaim(Base):
    """A claim on a guest that has no instance; none may come meanwhile."""

    __tablename__ = 'guest_claims'
    __table_args__ = (
        sa.Index('guest_claims_claim_owner_idx', 'claim_owner'),
        Base.__table_args__,
    )

    uuid = sa.Column(sa.String(36), primary_key=True)
    host = sa.Column(sa.String(255), nullable=False)
    claim_id = sa.Column(sa.String(36), nullable=False)
    claim_owner = sa.Column(sa.String(80), nullable=False)
    claimed_at = sa.Column(sa.DateTime, nullable=False)


class Freeze(Base):
    """A host on which no claim is granted, or ``ALL_HOSTS``."""

    __tablename__ = 'freezes'

    host = sa.Column(sa.String(255), primary_key=True)
    reason = sa.Column(sa.Text, nullable=False)
    frozen_by = sa.Column(sa.String(255), nullable=False)
    frozen_at = sa.Column(sa.DateTime, nullable=False)


class ReplicaHeartbeat(Base):
    """One row a conductor process: the newest beat it sent."""

    __tablename__ = 'replica_heartbeats'

    conductor_id = sa.Column(sa.String(36), primary_key=True)
    heartbeat = sa.Column(sa.BigInteger, nullable=False)
    sent_at = sa.Column(sa.DateTime, nullable=False)


class BandwidthUsage(Base):
    """The bytes of one interface in one period.

    See :mod:`computed.usage.counters`.
    """

    __tablename__ = 'bandwidth_usage'

    uuid = sa.Column(sa.String(36), primary_key=True)
    mac_address = sa.Column(sa.String(32), primary_key=True)
    start_period = sa.Column(sa.DateTime, primary_key=True)
    bw_in = sa.Column(sa.BigInteger, nullable=False)
    bw_out = sa.Column(sa.BigInteger, nullable=False)
    last_ctr_in = sa.Column(sa.BigInteger, nullable=False)
    last_ctr_out = sa.Column(sa.BigInteger, nullable=False)
    last_epoch = sa.Column(sa.String(255), nullable=False)
    last_refreshed = sa.Column(sa.BigInteger, nullable=False)
