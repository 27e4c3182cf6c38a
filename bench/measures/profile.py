"""Microseconds of processor time that one job costs the worker, and PostgreSQL, and on what.

A worker drains jobs that do nothing. For some seconds py-spy samples its threads, those that run
and not those that wait; what its process and those of PostgreSQL have used meanwhile is read from
/proc, and the worker's share is parted by the samples. A sample belongs to the part that its
innermost frame of any part lies in. The sampling itself slows the worker down a little.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psycopg

from bench import work
from bench.order import CannotBeMeasured, Numbers, Order
from bench.place import POSTGRESQL
from bench.waiting import wait_until
from bench.workers import processor_seconds, running

SECONDS = 3
RATE = 250  # samples of every thread in a second
STARTUP = 60

#: What a path has in it that belongs to each part.
PARTS = {
    "job": ("/bench/",),
    "driver": ("/psycopg/", "/psycopg_binary/", "/django/", "/asgiref/"),
    "store": ("/hosting/queues/stores/",),
    "settling": ("/hosting/queues/settling", "/hosting/queues/outcomes"),
    "rounds": ("/hosting/queues/shift", "/hosting/queues/lookout", "/hosting/queues/position"),
    "execution": ("/hosting/queues/execution", "/hosting/queues/hand", "/hosting/queues/declared"),
    "hand_over": ("/hosting/queues/workshop", "/hosting/queues/crew", "/hosting/queues/pace"),
}


def profile(order: Order) -> Numbers:
    program = shutil.which("py-spy", path=str(Path(sys.executable).parent))
    if program is None:
        raise CannotBeMeasured("py-spy is not installed")
    order.subject.enqueue(work.NOOP, [()] * (4 * order.jobs))
    server = _server(order)
    samples = order.place.path("samples")
    with running(order.subject.command(), order.place.path("log")) as [worker]:
        wait_until(lambda: work.tally.started > order.jobs // 10, "jobs are executed", STARTUP)
        before = work.tally.started, worker.usage().cpu, processor_seconds(server)
        command = [program, "record", "--pid", str(worker.pid), "--duration", str(SECONDS)]
        options = ["--rate", str(RATE), "--full-filenames", "--format", "raw", "--nonblocking"]
        subprocess.run(
            [*command, *options, "--output", str(samples)], check=True, capture_output=True
        )
        after = work.tally.started, worker.usage().cpu, processor_seconds(server)
    jobs, worker_used, server_used = (b - a for a, b in zip(before, after, strict=True))
    if work.tally.started >= 4 * order.jobs or not jobs:
        raise CannotBeMeasured("the jobs were done before the samples were taken")
    each = 1e6 * worker_used / jobs
    numbers = {"worker_us": each}
    if server:
        numbers["postgresql_us"] = 1e6 * server_used / jobs
    found = _parted(samples)
    total = found.total() or 1
    return numbers | {f"{part}_us": each * found[part] / total for part in (*PARTS, "rest")}


def _parted(samples: Path) -> Counter[str]:
    """How many samples belong to each part."""
    counted: Counter[str] = Counter()
    for line in samples.read_text().splitlines():
        stack, _, weight = line.rpartition(" ")
        counted[_part(stack.split(";"))] += int(weight)
    return counted


def _part(stack: list[str]) -> str:
    for frame in reversed(stack):
        for part, places in PARTS.items():
            if any(place in frame for place in places):
                return part
    return "rest"


def _server(order: Order) -> int:
    """The process id of PostgreSQL, 0 without one."""
    if order.place.database != POSTGRESQL:
        return 0
    with psycopg.connect(order.place.dsn) as connection:
        row = connection.execute("SHOW data_directory").fetchone()
    return int(Path(row[0], "postmaster.pid").read_text().split()[0]) if row else 0
