"""Many threads do everything at once, each with a connection of its own, as processes would."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, connections

from hosting.compat import TaskResultStatus
from hosting.models import Job, JobResult
from hosting.queues.stores import store_for
from hosting.queues.stores.base import Store
from hosting.queues.stores.values import HEAD, Failed, LimitRule, Retry, Succeeded
from tests.queues.stores.steps import (
    BROKEN,
    add,
    add_some,
    claim,
    finished,
    ids,
    new_job,
    settlement,
    wanted,
)

THREADS, ROUNDS = 8, 6


def a_life(store: Store, name: str) -> None:
    """Everything that a process may do with a store, some times over."""
    rule = LimitRule(key="shared", running=2, count=1000, period=1.0)
    for number in range(ROUNDS):
        store.upkeep.renew(name, 60)
        add(store, unique_key="u", unique_until_claimed=bool(number % 2))
        add(store, unique_key="period", unique_period=60.0)
        add(store, limit=rule)
        add(store, limit=LimitRule(key=f"{number}", running=number + 1))
        store.add_many([new_job() for _ in range(3)])
        claims = claim(store, limit=4, worker_id=name)
        results = [Succeeded("1"), Failed(BROKEN), Retry(BROKEN, 0), Succeeded("2")]
        batch = [settlement(each, result) for each, result in zip(claims, results, strict=False)]
        more = store.exchange(batch, wanted(2, worker_id=name)).claims
        store.release(more[:1], begun=True)
        store.settle([settlement(each) for each in more[1:]])
        store.upkeep.promote()
        store.upkeep.admit()
        store.upkeep.rescue()
        store.control.cancel(ids(claims))
        store.control.retry(ids(claims))
        store.control.discard(ids(claims)[:1])
        store.upkeep.prune("default", dict.fromkeys(TaskResultStatus, 3600.0))
        store.look("default", None, HEAD)
        store.get(ids(claims))


def test_nobody_gets_in_the_way_of_another(
    store: Store, in_threads: Callable[..., list[Any]]
) -> None:
    in_threads(*[lambda n=n: a_life(store, f"w{n}") for n in range(THREADS)])

    jobs = set(Job.objects.values_list("id", flat=True))
    assert not jobs & set(JobResult.objects.values_list("id", flat=True))


def test_sqlite_takes_the_write_lock_first_whatever_the_settings_say(
    transactional_db: None,
    in_threads: Callable[..., list[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("Other databases do not know that.")
    options = connections.settings["default"]["OPTIONS"]
    monkeypatch.setitem(options, "transaction_mode", None)  # for the threads' new connections
    store = store_for("default")

    in_threads(*[lambda n=n: a_life(store, f"w{n}") for n in range(THREADS)])
    assert Job.objects.exists()


def test_backends_that_share_the_tables(store: Store, in_threads: Callable[..., list[Any]]) -> None:
    names = ("default", "other", "third")
    jobs = {name: set(add_some(store, 20, backend=name)) for name in names}

    def drain(backend: str) -> set[Any]:
        done: set[Any] = set()
        while claims := claim(store, limit=3, backend=backend):
            done |= set(ids(claims)) - store.settle([settlement(c) for c in claims]).refused
        return done

    shares = in_threads(*[lambda name=name: drain(name) for name in names])

    assert dict(zip(names, shares, strict=True)) == jobs
    assert set(JobResult.objects.values_list("backend", flat=True)) == set(names)


def test_a_failed_job_is_moved_whole(store: Store, in_threads: Callable[..., list[Any]]) -> None:
    """Whoever looks while a job moves between the tables sees it in one of them."""
    job = finished(store, Failed(BROKEN))

    def move() -> None:
        for _ in range(20):
            store.control.retry([job])
            store.control.cancel([job])

    seen = in_threads(move, lambda: [len(store.get([job])) for _ in range(60)])[1]

    assert set(seen) == {1}
