"""SQL that each engine spells in its own way."""

import sqlalchemy as sa
from sqlalchemy.ext import compiler
from sqlalchemy.sql import functions


class utcnow(functions.FunctionElement):    # noqa: N801, it reads as a call
    """The database's own clock, as naive UTC, to the second."""

    type = sa.DateTime()
    inherit_cache = True


@compiler.compiles(utcnow, 'sqlite')
def _utcnow_sqlite(element, visitor, **kwargs):
    # The text form that SQLAlchemy stores for a DateTime.
    return "strftime('%Y-%m-%d %H:%M:%S.000000', 'now')"


@compiler.compiles(utcnow, 'mysql')
@compiler.compiles(utcnow, 'mariadb')
def _utcnow_mysql(element, visitor, **kwargs):
    return 'UTC_TIMESTAMP()'


@compiler.compiles(utcnow, 'postgresql')
def _utcnow_postgresql(element, visitor, **kwargs):
    return "date_trunc('second', timezone('UTC', statement_timestamp()))"
