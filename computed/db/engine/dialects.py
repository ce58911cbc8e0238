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


class exact_utcnow(functions.FunctionElement):  # noqa: N801, as utcnow
    """The database's own time, as naive UTC with fractions of a second."""

    type = sa.DateTime()
    inherit_cache = True


@compiler.compiles(exact_utcnow, 'sqlite')
def _exact_sqlite(element: exact_utcnow, visitor: typing.Any,
                  **kwargs: typing.Any) -> str:
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"


@compiler.compiles(exact_utcnow, 'mysql')
@compiler.compiles(exact_utcnow, 'mariadb')
def _exact_mysql(element: exact_utcnow, visitor: typing.Any,
                 **kwargs: typing.Any) -> str:
    return 'UTC_TIMESTAMP(6)'


@compiler.compiles(exact_utcnow, 'postgresql')
def _exact_postgresql(element: exact_utcnow, visitor: typing.Any,
                      **kwargs: typing.Any) -> str:
    return "timezone('UTC', statement_timestamp())"
