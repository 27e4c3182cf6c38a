"""dramatiq on Redis: its own command, one process, eight threads, a prefetch of 1,000."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

os.environ |= {"dramatiq_queue_prefetch": "1000"}  # read when it is imported, here and there

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

from bench import work
from bench.peers.base import PLACE, Subject, python, set_up_django

set_up_django()

from bench.project import models  # noqa: E402 - after Django is set up

broker = RedisBroker(url=f"unix://{PLACE.redis}")
dramatiq.set_broker(broker)


@dramatiq.actor
def noop() -> None:
    work.noop()


@dramatiq.actor
def insert() -> None:
    work.noop()
    models.insert()


TASKS: dict[str, Any] = {work.NOOP: noop, work.INSERT: insert}


class Peer(Subject):
    def install(self) -> None:
        set_up_django(migrate=True)
        self._redis = redis.Redis(unix_socket_path=PLACE.redis)

    def enqueue(self, job: str, calls: Sequence[tuple[Any, ...]]) -> None:
        for args in calls:
            TASKS[job].send(*args)

    def enqueue_one(self, job: str, *args: Any) -> None:
        TASKS[job].send(*args)

    def unsettled(self) -> int:
        return int(self._redis.hlen("dramatiq:default.msgs"))

    def command(self) -> Sequence[str]:
        options = ["--processes", "1", "--threads", "8", "--skip-logging"]
        return python("dramatiq", "bench.peers.dramatiq_", *options)
