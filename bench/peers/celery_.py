"""Celery on Redis: its own command, the solo pool (one process), no results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis
from celery import Celery

from bench import work
from bench.peers.base import PLACE, Subject, python

app = Celery("bench", broker=f"redis+socket://{PLACE.redis}")
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=100,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)


@app.task(name=work.NOOP)
def noop() -> None:
    work.noop()


TASKS: dict[str, Any] = {work.NOOP: noop}


class Peer(Subject):
    def install(self) -> None:
        self._redis = redis.Redis(unix_socket_path=PLACE.redis)

    def enqueue(self, job: str, calls: Sequence[tuple[Any, ...]]) -> None:
        with app.producer_pool.acquire(block=True) as producer:
            for args in calls:
                TASKS[job].apply_async(args, producer=producer)

    def enqueue_one(self, job: str, *args: Any) -> None:
        TASKS[job].delay(*args)

    def unsettled(self) -> int:
        waiting, taken = self._redis.llen("celery"), self._redis.hlen("unacked")
        return int(waiting) + int(taken)

    def command(self) -> Sequence[str]:
        options = ["--pool", "solo", "--loglevel", "WARNING", "--without-mingle"]
        return python("celery", "--app", "bench.peers.celery_", "worker", *options)
