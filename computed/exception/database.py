"""Errors of reads and writes, and of the schema."""

from computed.exception.base import ComputedError


class InvalidValue(ComputedError):
    """{field} cannot be {value}: {problem}. Nothing was written."""


class FieldNotSet(ComputedError):
    """{name} has no {field}: its maker or its sender left that out. Nothing \
was done."""


class ReadOnlyScope(ComputedError):
    """{function} writes to the database, but this request is tolerant and \
may only read. Write with a strict context."""


class TolerantObject(ComputedError):
    """Cannot {method} {name} {key}: it was read tolerantly, so its fields \
may be out of date. Read it again without use_slave, then repeat."""


class PutOff(ComputedError):
    """The request cannot be served now. Repeat it in {retry_after:.1f} s."""


class Busy(PutOff):
    """No replica is fresh enough, and the primary takes no more tolerant \
reads now (fallback_reads_per_second, fallback_concurrency). Repeat in \
{retry_after:.1f} s."""


class TooStale(PutOff):
    """The primary does not answer, and the freshest replica {freshest}; at \
most {bound:g} s are allowed. Repeat in {retry_after:.1f} s, or accept an \
older answer."""


class Resync(PutOff):
    """The database was restored or failed over since this request wrote, \
and its writes may be lost. Read everything again in {retry_after:.1f} s."""


class ListChanged(PutOff):
    """The instances of host {host} changed each time while they were read in \
parts. Repeat it in {retry_after:.1f} s."""


class DatabaseWentBack(ComputedError):
    """The database went back in time: its clock shows {shown} s after it \
{before}. Was a backup restored? A new incarnation of it begins: the hosts \
read everything again, and hold each instance whose record lacks what they \
have recorded since."""


class AuditLost(PutOff):
    """The database no longer has the audit of host {host} that went on. \
Was a backup restored? Repeat in {retry_after:.1f} s; it begins again."""


class PeriodNotOver(PutOff):
    """By the clock of the database, the period until {end} is not over for \
long enough. Repeat in {retry_after:.1f} s."""


class ResyncFull(PutOff):
    """Too many hosts are reading everything again at this moment. Repeat in \
{retry_after:.1f} s."""


class StaleFacts(ComputedError):
    """{operation} of instance {uuid} is refused: the decision rests on a \
read that was older than its bound, and no fresher read was possible. Nothing \
was done."""


class PrimaryUnavailable(ComputedError):
    """The primary database does not answer. Nothing was written."""


class PrimaryUnreachable(PrimaryUnavailable):
    """The primary database {address} cannot be used: {problem}. Nothing was \
written. Start it, or correct [database] connection."""


class FileUnusable(PrimaryUnreachable):
    """The database file {address} cannot be used: {problem}. Nothing was \
written. Correct its access or its disk. If it is lost: Put it back from a \
backup without its -wal and -shm, and run `computed-manage db \
new-incarnation`."""


class DatabaseDamaged(FileUnusable):
    """The database file {address} is damaged: {problem}. Nothing was \
written. Put it back from a backup without its -wal and -shm, and run \
`computed-manage db new-incarnation`."""


class PrimaryDivided(PrimaryUnavailable):
    """The address of the primary database sends reads and writes to \
different servers. Nothing was written. Connect to the primary itself, not to \
a proxy that splits reads from writes."""


class AnotherDatabase(PrimaryUnavailable):
    """The primary database {address} is database {found} now, and not \
{expected}. Nothing was read or written. Put that one back, or restart the \
conductors to use this one."""


class PrimaryReadOnly(ComputedError):
    """The primary database refuses to write: it is read-only. Was another \
server promoted?"""


class DatabaseFailed(ComputedError):
    """The database {address} refuses: {problem}. Correct the cause there."""


class RowExists(DatabaseFailed):
    """The database {address} has such a row already: {problem}."""


class WriteConflict(ComputedError):
    """Other requests changed the same rows at the same time, several times \
in a row. Nothing was written. Repeat the request."""


class InvalidName(ComputedError):
    """{name!r} cannot be a name: {rule}."""


class InvalidMarker(ComputedError):
    """Marker {marker} does not come from this list. Copy it exactly as it \
was printed, or leave it out to start at the beginning."""


class InvalidLimit(ComputedError):
    """A list cannot be limited to {limit}. Give a whole number from 1 up."""


class SchemaMismatch(ComputedError):
    """The database {address} has schema {found}, the code needs {needed}. \
{remedy}"""


class TextNotKept(ComputedError):
    """The database {address} cannot keep every text: {problem}."""


class SchemaUpgradeFailed(ComputedError):
    """The upgrade of the schema stopped {place}: {problem}. {remedy}"""


class SchemaBusy(ComputedError):
    """Another process still changes the schema after {wait:g} s: {holder}. \
Nothing was changed by this one. Run `computed-manage db sync` again later. \
If that process hangs, {remedy}."""
