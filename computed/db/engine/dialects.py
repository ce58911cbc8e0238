"""SQL that each engine writes differently."""

import typing

import sqlalchemy as sa
from sqlalchemy.ext import compiler
from sqlalchemy.sql import functions


class utcnow(functions.FunctionElement):    # noqa: N801, it reads as a call
    """The database's own time, as naive UTC without fractions."""

    type = sa.DateTime()
    inherit_cache = True


@compiler.compiles(utcnow, 'sqlite')
def _utcnow_sqlite(element: utcnow, visitor: typing.Any,
                   **kwargs: typing.Any) -> str:
    # SQLAlchemy stores a DateTime as text of this form.
    return "strftime('%Y-%m-%d %H:%M:%S.000000', 'now')"


@compiler.compiles(utcnow, 'mysql')
@compiler.compiles(utcnow, 'mariadb')
def _utcnow_mysql(element: utcnow, visitor: typing.Any,
                  **kwargs: typing.Any) -> str:
    return 'UTC_TIMESTAMP()'


@compiler.compiles(utcnow, 'postgresql')
def _utcnow_postgresql(element: utcnow, visitor: typing.Any,
                       **kwargs: typing.Any) -> str:
    return "date_trunc('second', timezone('UTC', statement_timestamp()))"
