"""Parameters of the statements for PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from hosting.queues.stores.values import Key, Wanted

#: What comes before every key.
START: Key = (-32768, float("-inf"), UUID(int=0))


def places(wanted: Wanted, names: Collection[str]) -> list[Any]:
    """The parameters of a claim."""
    backend = wanted.backend
    rest = [wanted.limit, wanted.worker_id]
    found = {name: wanted.after.get(name, START) for name in names}
    if len(found) == 1:
        [(name, key)] = found.items()
        return [name, *key, backend, backend, name, *rest]
    return [*columns(found), backend, backend, *rest]


def columns(keys: Mapping[str, Key]) -> list[list[Any]]:
    """Names and keys by column, as arrays."""
    rows = [(name, *key) for name, key in keys.items()]
    return [list(column) for column in zip(*rows, strict=True)]


def as_text(value: Any) -> bytes:
    """The value as PostgreSQL reads it; a member of an enumeration of texts is its text."""
    return str.encode(value) if isinstance(value, str) else str(value).encode()
