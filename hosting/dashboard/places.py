"""The databases that have jobs, and which of them a page shows."""

from __future__ import annotations

from urllib.parse import urlencode
from uuid import UUID

from django.db import router
from django.http import QueryDict

from hosting.models import Enqueued, Job
from hosting.queues.scheduling.declared import stores
from hosting.queues.stores import store_for
from hosting.queues.stores.orm import GenericStore


def known_stores() -> dict[str, GenericStore]:
    """The stores by their database's alias; that of the models, if no backend uses any."""
    found = {store.alias: store for store in stores() if isinstance(store, GenericStore)}
    if not found:
        alias = router.db_for_read(Job)
        store = store_for(alias)
        assert isinstance(store, GenericStore)
        found[alias] = store
    return found


def chosen_store(query: QueryDict) -> GenericStore:
    """The one that `database` names; the first, if it names none that there is."""
    known = known_stores()
    return known.get(query.get("database", "")) or next(iter(known.values()))


def among_others(store: GenericStore) -> str:
    """What the query of an address has to end with, to be of this database; "" if it is alone."""
    return f"&{urlencode({'database': store.alias})}" if len(known_stores()) > 1 else ""


def find_row(job_id: UUID) -> tuple[GenericStore, Enqueued] | None:
    """A job's row, whether it has ended or not, and the store that it is in."""
    for store in known_stores().values():
        for rows in (store.jobs, store.results, store.jobs):  # it may move between two looks
            if (row := rows.filter(pk=job_id).first()) is not None:
                return store, row
    return None
