"""Where jobs are kept: contracts (`base`, `duties`), and one store per database vendor."""

from __future__ import annotations

from typing import cast

from django.db import connections
from django.utils.module_loading import import_string

from hosting.queues.stores.base import Store

#: Stores by vendor. They are dotted paths, because a store imports models, which can be loaded only
#: once all apps are ready, and backends are built before that.
STORES = {
    "postgresql": "hosting.queues.stores.postgresql.PostgreSQLStore",
    "sqlite": "hosting.queues.stores.sqlite.SQLiteStore",
    "mysql": "hosting.queues.stores.mysql.MySQLStore",
}
ANY_VENDOR = "hosting.queues.stores.orm.GenericStore"


def store_for(alias: str) -> Store:
    """The store that fits the database of this alias; asks the database nothing."""
    path = STORES.get(connections[alias].vendor, ANY_VENDOR)
    return cast(Store, import_string(path)(alias))
