"""rq: `SimpleWorker`, which runs jobs in its own process instead of one fork each; no results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis
from rq import Queue, SimpleWorker

from bench import work
from bench.peers.base import PLACE, Subject, python

connection = redis.Redis(unix_socket_path=PLACE.redis)
queue = Queue("bench", connection=connection)

TASKS: dict[str, Any] = {work.NOOP: work.noop, work.STAMP: work.stamp}


class Peer(Subject):
    def install(self) -> None:
        pass

    def enqueue(self, job: str, calls: Sequence[tuple[Any, ...]]) -> None:
        path = f"bench.work.{job}"
        queue.enqueue_many([Queue.prepare_data(path, args, result_ttl=0) for args in calls])

    def enqueue_one(self, job: str, *args: Any) -> None:
        queue.enqueue(TASKS[job], *args, result_ttl=0)

    def unsettled(self) -> int:
        return len(queue) + int(queue.started_job_registry.count)

    def command(self) -> Sequence[str]:
        return python("bench.peers.rq_")


if __name__ == "__main__":
    SimpleWorker([queue], connection=connection).work(logging_level="WARNING")
