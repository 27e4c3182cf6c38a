"""The database's clock as an expression, for queries through the ORM."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now
from django.db.models.sql.compiler import SQLCompiler


def sqlite_now() -> str:
    """SQLite's clock as SQL with doubled percent signs, in the form in which Django stores moments.

    SQLite's own `now` is in UTC, and Django stores local time if USE_TZ is off. SQLite compares
    moments as text, so its milliseconds get the six digits that Django writes.
    """
    local = "" if settings.USE_TZ else ", 'localtime'"
    return f"(strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now'{local}) || '000')"


class DatabaseNow(Now):
    """The moment of the statement by the database's clock."""

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any
    ) -> tuple[str, tuple[str | int, ...]]:
        return sqlite_now(), ()


def ago(span: timedelta) -> CombinedExpression:
    """The moment that long ago; a negative span leads to the future."""
    return DatabaseNow() - span
