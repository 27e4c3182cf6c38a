"""The database's clock as an expression, for queries through the ORM."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.functions import Now
from django.db.models.sql.compiler import SQLCompiler


def sqlite_now(shift: str = "") -> str:
    """SQLite's clock as SQL with doubled percent signs, in the form in which Django stores moments.

    SQLite's own `now` is in UTC, and Django stores local time if USE_TZ is off. SQLite compares
    moments as text, so its milliseconds get the six digits that Django writes. `shift` is a
    modifier of SQLite's, as SQL.
    """
    modifiers = ("" if settings.USE_TZ else ", 'localtime'") + (f", {shift}" if shift else "")
    return f"(strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now'{modifiers}) || '000')"


class DatabaseNow(Now):
    """The moment of the statement by the database's clock."""

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any
    ) -> tuple[str, tuple[str | int, ...]]:
        return sqlite_now(), ()


class Ago(Now):
    """The moment that long ago by the database's clock; a negative span leads to the future.

    On SQLite Django computes with spans in Python functions, which a thread may still be in when
    the interpreter ends.
    """

    def __init__(self, span: timedelta) -> None:
        super().__init__()
        self.span = span

    def as_sql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, *args: Any, **extra: Any
    ) -> Any:
        moment = DatabaseNow() - self.span
        return compiler.compile(moment.resolve_expression(compiler.query))

    def as_postgresql(self, compiler: SQLCompiler, *args: Any, **extra: Any) -> Any:
        return "(STATEMENT_TIMESTAMP() - %s)", [self.span]

    def as_sqlite(self, compiler: SQLCompiler, *args: Any, **extra: Any) -> Any:
        return sqlite_now("%s"), [f"{-self.span.total_seconds():+.6f} seconds"]

    def as_mysql(self, compiler: SQLCompiler, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection)


def ago(span: timedelta) -> Ago:
    """The moment that long ago; a negative span leads to the future."""
    return Ago(span)
