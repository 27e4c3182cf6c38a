"""One run on the database of DATABASE_URL: fill it, ask for the pages, print what they took."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import django
from django.core.management import call_command
from django.db import connection

ROUNDS = 5

#: What each page may take of the database's time (ms).
GOAL = 200.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A statement that a page has executed."""

    sql: str
    parameters: Any

    def milliseconds(self) -> float:
        """How long it takes with all its rows, the best of some rounds."""
        return min(self._once() for _ in range(ROUNDS))

    def _once(self) -> float:
        with connection.cursor() as cursor:
            began = time.perf_counter()
            cursor.execute(self.sql, self.parameters)
            if cursor.description:
                cursor.fetchall()
            return (time.perf_counter() - began) * 1000

    def plan(self) -> str:
        """How the database executes it."""
        how = "EXPLAIN (ANALYZE, BUFFERS) " if connection.vendor == "postgresql" else ""
        with connection.cursor() as cursor:
            cursor.execute(f"{how or 'EXPLAIN QUERY PLAN '}{self.sql}", self.parameters)
            return "\n".join(f"      {row[-1]}" for row in cursor.fetchall())


def main(rows: int, shows_plans: bool) -> None:
    django.setup()
    call_command("migrate", verbosity=0)
    # What imports models can only be imported now.
    from bench.dashboard.filling import fill
    from bench.dashboard.pages import client, pages

    fill(rows)
    print(f"\n{connection.vendor}, {rows:,} jobs, results and log lines each\n")
    print("| page | statements | database (ms) | slowest (ms) | whole (ms) |")
    print("|---|--:|--:|--:|--:|")
    user, plans = client(), []
    for name, url in pages():
        asked, whole = _ask(partial(user.get, url))
        times = {each: each.milliseconds() for each in asked if each.sql.startswith("SELECT")}
        slowest = max(times, key=lambda each: times[each])
        total = sum(times.values())
        note = "" if total <= GOAL else f" (more than {GOAL:g})"
        print(
            f"| {name} | {len(asked)} | {total:.1f}{note} | {times[slowest]:.1f} | {whole:.0f} |",
            flush=True,
        )
        plans.append(f"   {name}:\n      {slowest.sql[:1500]}\n{slowest.plan()}\n")
    if shows_plans:
        print("\nThe slowest statements\n", *plans, sep="\n")


def _ask(call: Callable[[], Any]) -> tuple[list[Asked], float]:
    """What a call has executed, and how long it took the second time, in ms."""
    asked: list[Asked] = []

    def watch(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        asked.append(Asked(sql, _hashable(parameters)))
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(watch):
        response = call()
        assert response.status_code == 200, response
    began = time.perf_counter()
    call()
    return asked, (time.perf_counter() - began) * 1000


def _hashable(parameters: Any) -> Any:
    return tuple(parameters) if isinstance(parameters, list) else parameters


def _arguments() -> Iterator[Any]:
    yield int(sys.argv[1])
    yield "plans" in sys.argv[2:]


if __name__ == "__main__":
    main(*_arguments())
