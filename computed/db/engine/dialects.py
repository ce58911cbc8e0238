"""SQL that each engine writes differently."""

import typing

import sqlalchemy as sa
from sqlalchemy.ext import compiler
from sqlalchemy.sql import functions


class utcnow(functions.FunctionElement):    # noqa: N801, it reads as a call
    """The database's own time, as naive UTC without fractions."""

    type = sa.DateTime()
    inherit_cache = True


class exact_utcnow(functions.FunctionElement):  # noqa: N801, as utcnow
    """The database's own time, as naive UTC with fractions of a second."""

    type = sa.DateTime()
    inherit_cache = True


def _written(element: type[functions.FunctionElement],
             **texts: str) -> None:
    """Let each engine, by the name of its dialect, write ``element`` so."""
    for dialect, text in texts.items():
        def write(element: functions.FunctionElement, visitor: typing.Any,
                  *, text: str = text, **kwargs: typing.Any) -> str:
            return text
        compiler.compiles(element, dialect)(write)


# SQLAlchemy stores a DateTime in SQLite as text of this form.
_written(utcnow,
         sqlite="strftime('%Y-%m-%d %H:%M:%S.000000', 'now')",
         mysql='UTC_TIMESTAMP()', mariadb='UTC_TIMESTAMP()',
         postgresql="date_trunc('second', timezone('UTC',"
                    ' statement_timestamp()))')
_written(exact_utcnow,
         sqlite="strftime('%Y-%m-%d %H:%M:%f000', 'now')",
         mysql='UTC_TIMESTAMP(6)', mariadb='UTC_TIMESTAMP(6)',
         postgresql="timezone('UTC', statement_timestamp())")
