"""The tables. The migrations create them; a test compares the two.

Queries run on a connection, not in a session of the ORM: they return rows with
the columns of a class here, and no objects of it. The types of functions name
the class.
"""

import datetime
import typing

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.ext import compiler

# The row of ``hosts`` that counts the changes of rows without a host.
NO_HOST = '(none)'
# The ``host`` of a freeze of all hosts. No host can have such a name.
ALL_HOSTS = '(all)'
MaybeTime = typing.Annotated[
    datetime.datetime | None, orm.mapped_column(sa.DateTime, nullable=True)]


@compiler.compiles(sa.String, 'postgresql')
@compiler.compiles(sa.Text, 'postgresql')
def _text_postgresql(element: typing.Any, visitor: typing.Any,
                     **kwargs: typing.Any) -> str:
    # Every engine orders names by their bytes; PostgreSQL would order them by
    # the locale of the database. Only the columns of tables need it.
    visit = getattr(visitor, f'visit_{element.__visit_name__}')
    made = visit(element, **kwargs)
    if kwargs.get('type_expression') is None or element.collation:
        return made
    return f'{made} COLLATE "C"'


class Base(orm.DeclarativeBase):
    """What all tables share."""

    # A binary collation: 'web' and 'Web' are two names on every engine.
    __table_args__: typing.Any = {
        'mysql_engine': 'InnoDB', 'mysql_charset': 'utf8mb4',
        'mysql_collate': 'utf8mb4_bin'}


class DatabaseIdentity(Base):
    """One row: the identity and the incarnation of the database."""

    __tablename__ = 'database_identity'

    id: orm.Mapped[int] = orm.mapped_column(
        sa.Integer, primary_key=True, autoincrement=False)
    uuid: orm.Mapped[str] = orm.mapped_column(sa.String(36))
    # See computed.db.routing.incarnation. NULL until a conductor writes them.
    incarnation: orm.Mapped[str | None] = orm.mapped_column(sa.String(36))
    lineage: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))


class Host(Base):
    """One row per host. ``revision`` counts the changes of its rows."""

    __tablename__ = 'hosts'

    name: orm.Mapped[str] = orm.mapped_column(sa.String(255), primary_key=True)
    revision: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    created_at: orm.Mapped[datetime.datetime] = orm.mapped_column(sa.DateTime)


class Service(Base):
    """The daemon of a host.

    ``boot_id`` is new with each start of the daemon, ``host_boot_id`` with
    each boot of the machine. See :mod:`computed.db.cell.succession` for
    ``place`` and ``began``. ``digest`` is JSON about its tasks.

    ``heartbeat`` counts registrations and heartbeats. ``heard_at`` and
    ``heard_listened`` are the ``seconds`` and ``listened`` of the cell's
    clock at the newest of them; ``last_seen`` is for people only.
    """

    __tablename__ = 'services'

    host: orm.Mapped[str] = orm.mapped_column(sa.String(255), primary_key=True)
    service_id: orm.Mapped[str] = orm.mapped_column(sa.String(36))
    boot_id: orm.Mapped[str] = orm.mapped_column(sa.String(36))
    host_boot_id: orm.Mapped[str] = orm.mapped_column(sa.String(36))
    place: orm.Mapped[str] = orm.mapped_column(sa.String(64))
    began: orm.Mapped[float] = orm.mapped_column(sa.Double)
    version: orm.Mapped[str] = orm.mapped_column(sa.String(64))
    last_seen: orm.Mapped[datetime.datetime] = orm.mapped_column(sa.DateTime)
    heartbeat: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    heard_at: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    heard_listened: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    digest: orm.Mapped[str] = orm.mapped_column(sa.Text)


class CellClock(Base):
    """One row: the seconds that conductors have counted together.

    See :mod:`computed.db.cell.cell_clock`.
    """

    __tablename__ = 'cell_clock'

    id: orm.Mapped[int] = orm.mapped_column(
        sa.Integer, primary_key=True, autoincrement=False)
    seconds: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    listened: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    listened_at: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)


class ComputeNode(Base):
    """What a host has, how much of it is promised, and how much is used.

    A column is NULL if the service of the host is older than the column.
    """

    __tablename__ = 'compute_nodes'
    __table_args__ = (
        sa.Index('compute_nodes_service_id_idx', 'service_id'),
        Base.__table_args__,
    )

    host: orm.Mapped[str] = orm.mapped_column(sa.String(255), primary_key=True)
    hypervisor_type: orm.Mapped[str] = orm.mapped_column(sa.String(64))
    hypervisor_version: orm.Mapped[str] = orm.mapped_column(sa.String(64))
    vcpus: orm.Mapped[int] = orm.mapped_column(sa.Integer)
    memory_mb: orm.Mapped[int] = orm.mapped_column(sa.Integer)
    disk_gb: orm.Mapped[int] = orm.mapped_column(sa.Integer)
    updated_at: orm.Mapped[datetime.datetime] = orm.mapped_column(sa.DateTime)
    revision: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    # The identity of the service, which it keeps on the disk of the host.
    service_id: orm.Mapped[str | None] = orm.mapped_column(sa.String(36))
    # The number of writes. A write is guarded by the number that it read.
    generation: orm.Mapped[int] = orm.mapped_column(
        sa.BigInteger, server_default='0')
    vcpus_reserved: orm.Mapped[int | None] = orm.mapped_column(sa.Integer)
    memory_mb_reserved: orm.Mapped[int | None] = orm.mapped_column(sa.Integer)
    disk_gb_reserved: orm.Mapped[int | None] = orm.mapped_column(sa.Integer)
    # MariaDB returns six digits of a Float. The host would find that its
    # record differs from its figures, and would write it each time.
    vcpus_allocation_ratio: orm.Mapped[float | None] = orm.mapped_column(
        sa.Double)
    memory_mb_allocation_ratio: orm.Mapped[float | None] = orm.mapped_column(
        sa.Double)
    disk_gb_allocation_ratio: orm.Mapped[float | None] = orm.mapped_column(
        sa.Double)
    # A sum of 32-bit numbers may need more than 32 bits.
    vcpus_used: orm.Mapped[int | None] = orm.mapped_column(sa.BigInteger)
    memory_mb_used: orm.Mapped[int | None] = orm.mapped_column(sa.BigInteger)
    disk_gb_used: orm.Mapped[int | None] = orm.mapped_column(sa.BigInteger)
    vcpus_claimed: orm.Mapped[int | None] = orm.mapped_column(sa.BigInteger)
    memory_mb_claimed: orm.Mapped[int | None] = orm.mapped_column(
        sa.BigInteger)
    disk_gb_claimed: orm.Mapped[int | None] = orm.mapped_column(sa.BigInteger)
    memory_mb_available: orm.Mapped[int | None] = orm.mapped_column(sa.Integer)
    disk_gb_free: orm.Mapped[int | None] = orm.mapped_column(sa.Integer)


class Instance(Base):
    """A guest as its user ordered it. A deleted one keeps its row."""

    __tablename__ = 'instances'
    __table_args__ = (
        sa.Index('instances_host_deleted_states_idx', 'host', 'deleted',
                 'vm_state', 'task_state'),
        sa.Index('instances_name_idx', 'name'),
        # For the deleted ones of a host of which files may be left.
        sa.Index('instances_host_cleaned_idx', 'host', 'deleted', 'cleaned',
                 'uuid'),
        sa.Index('instances_claim_owner_idx', 'claim_owner'),
        sa.Index('instances_host_guest_left_idx', 'host', 'guest_left'),
        sa.Index('instances_claim_id_idx', 'claim_id'),
        # For all that a host ever had, a part after the other.
        sa.Index('instances_host_uuid_idx', 'host', 'uuid'),
        # For pages by name and uuid: of all instances, of a host, of a state.
        sa.Index('instances_page_idx', 'deleted', 'name', 'uuid'),
        sa.Index('instances_host_page_idx', 'host', 'deleted', 'name',
                 'uuid'),
        sa.Index('instances_vm_state_page_idx', 'vm_state', 'deleted',
                 'name', 'uuid'),
        Base.__table_args__,
    )

    uuid: orm.Mapped[str] = orm.mapped_column(sa.String(36), primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(255))
    host: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))
    vm_state: orm.Mapped[str] = orm.mapped_column(sa.String(32))
    task_state: orm.Mapped[str | None] = orm.mapped_column(sa.String(32))
    power_state: orm.Mapped[int] = orm.mapped_column(sa.Integer)
    command: orm.Mapped[str] = orm.mapped_column(sa.Text)
    vcpus: orm.Mapped[int] = orm.mapped_column(sa.Integer)
    memory_mb: orm.Mapped[int] = orm.mapped_column(sa.Integer)
    disk_gb: orm.Mapped[int] = orm.mapped_column(sa.Integer)
    network: orm.Mapped[str] = orm.mapped_column(sa.String(16))
    exit_code: orm.Mapped[int | None] = orm.mapped_column(sa.Integer)
    fault: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    created_at: orm.Mapped[datetime.datetime] = orm.mapped_column(sa.DateTime)
    # When task_state got its value; NULL if it is NULL.
    task_state_since: orm.Mapped[MaybeTime]
    # The seconds of the clock of the cell when vm_state was written last, or a
    # transition began. No clock that is set makes a state look older.
    state_counted_at: orm.Mapped[int | None] = orm.mapped_column(
        sa.BigInteger)
    build_started_at: orm.Mapped[MaybeTime]
    launched_at: orm.Mapped[MaybeTime]
    # launched_at is that of the last start, this is that of the first.
    first_launched_at: orm.Mapped[MaybeTime]
    updated_at: orm.Mapped[datetime.datetime] = orm.mapped_column(sa.DateTime)
    deleted_at: orm.Mapped[MaybeTime]
    # When its guest was destroyed, which may be later than deleted_at.
    terminated_at: orm.Mapped[MaybeTime]
    deleted: orm.Mapped[bool] = orm.mapped_column(sa.Boolean)
    # Whether no files are left of a deleted instance, how often its host has
    # tried to remove them, and whether it has given up.
    cleaned: orm.Mapped[bool] = orm.mapped_column(
        sa.Boolean, server_default=sa.false())
    clean_attempts: orm.Mapped[int] = orm.mapped_column(
        sa.Integer, server_default='0')
    clean_failed: orm.Mapped[bool] = orm.mapped_column(
        sa.Boolean, server_default=sa.false())
    # Whether its host must still destroy the guest of this deleted instance;
    # see computed.db.cell.retired.
    guest_left: orm.Mapped[bool] = orm.mapped_column(
        sa.Boolean, server_default=sa.false())
    revision: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    claim_id: orm.Mapped[str | None] = orm.mapped_column(sa.String(36))
    claim_owner: orm.Mapped[str | None] = orm.mapped_column(sa.String(80))
    claimed_at: orm.Mapped[MaybeTime]
    # The claim whose result was written last. A host recognizes by it whether
    # the row has what it wrote, also after the database went back in time.
    settled_claim_id: orm.Mapped[str | None] = orm.mapped_column(
        sa.String(36))


class GuestClaim(Base):
    """A claim on a guest that has no instance.

    No instance with this uuid can be created during the claim.
    """

    __tablename__ = 'guest_claims'
    __table_args__ = (
        sa.Index('guest_claims_claim_owner_idx', 'claim_owner'),
        Base.__table_args__,
    )

    uuid: orm.Mapped[str] = orm.mapped_column(sa.String(36), primary_key=True)
    host: orm.Mapped[str] = orm.mapped_column(sa.String(255))
    claim_id: orm.Mapped[str] = orm.mapped_column(sa.String(36))
    claim_owner: orm.Mapped[str] = orm.mapped_column(sa.String(80))
    claimed_at: orm.Mapped[datetime.datetime] = orm.mapped_column(sa.DateTime)


class Freeze(Base):
    """A host (or ``ALL_HOSTS``) on which no claim is granted."""

    __tablename__ = 'freezes'

    host: orm.Mapped[str] = orm.mapped_column(sa.String(255), primary_key=True)
    reason: orm.Mapped[str] = orm.mapped_column(sa.Text)
    frozen_by: orm.Mapped[str] = orm.mapped_column(sa.String(255))
    frozen_at: orm.Mapped[datetime.datetime] = orm.mapped_column(sa.DateTime)
    # New with each request to freeze; a thaw names the one that it ends.
    freeze_id: orm.Mapped[str] = orm.mapped_column(sa.String(36))


class Event(Base):
    """Something that was done, or is being done, to an instance or a host.

    See :mod:`computed.db.cell.history.events`.
    """

    __tablename__ = 'events'
    __table_args__ = (
        # For the newest of an instance, of a name, of a host.
        sa.Index('events_uuid_idx', 'uuid', 'id'),
        sa.Index('events_name_idx', 'name', 'id'),
        sa.Index('events_host_idx', 'host', 'id'),
        # A claim is granted once, however late the request is repeated.
        sa.Index('events_claim_id_idx', 'claim_id', 'uuid', unique=True),
        Base.__table_args__,
    )

    # SQLite counts only a column of this type.
    id: orm.Mapped[int] = orm.mapped_column(
        sa.BigInteger().with_variant(sa.Integer, 'sqlite'), primary_key=True)
    began_at: orm.Mapped[datetime.datetime] = orm.mapped_column(sa.DateTime)
    ended_at: orm.Mapped[MaybeTime]
    uuid: orm.Mapped[str | None] = orm.mapped_column(sa.String(36))
    name: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))
    host: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))
    operation: orm.Mapped[str] = orm.mapped_column(sa.String(64))
    asked_by: orm.Mapped[str] = orm.mapped_column(sa.String(255))
    request_id: orm.Mapped[str | None] = orm.mapped_column(sa.String(64))
    claim_id: orm.Mapped[str | None] = orm.mapped_column(sa.String(36))
    state_before: orm.Mapped[str | None] = orm.mapped_column(sa.String(32))
    state_after: orm.Mapped[str | None] = orm.mapped_column(sa.String(32))
    result: orm.Mapped[str | None] = orm.mapped_column(sa.String(16))
    fault: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    reason: orm.Mapped[str | None] = orm.mapped_column(sa.Text)


class ConsoleToken(Base):
    """A token that admits to a console; only its SHA-256 is known.

    ``host`` is that of the instance when the token was made.
    """

    __tablename__ = 'console_tokens'
    __table_args__ = (
        # For those of a host that have expired, and those of an instance.
        sa.Index('console_tokens_expires_idx', 'host', 'expires'),
        sa.Index('console_tokens_instance_uuid_idx', 'instance_uuid'),
        Base.__table_args__,
    )

    token_hash: orm.Mapped[str] = orm.mapped_column(
        sa.String(64), primary_key=True)
    instance_uuid: orm.Mapped[str] = orm.mapped_column(sa.String(36))
    host: orm.Mapped[str] = orm.mapped_column(sa.String(255))
    expires: orm.Mapped[datetime.datetime] = orm.mapped_column(sa.DateTime)


class ReplicaHeartbeat(Base):
    """One row per conductor process: the newest heartbeat that it sent."""

    __tablename__ = 'replica_heartbeats'

    conductor_id: orm.Mapped[str] = orm.mapped_column(
        sa.String(36), primary_key=True)
    heartbeat: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    sent_at: orm.Mapped[datetime.datetime] = orm.mapped_column(sa.DateTime)
