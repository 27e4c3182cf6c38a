"""How many jobs have ended, how long they waited and ran, by the time of their enqueueing.

Results have no index by their end, as it would cost every job that ends. Their ids are in the
order of enqueueing; so a bar stands for the jobs that were enqueued in its time and have ended
since. They are counted along the primary key alone, and what they have waited and run for is taken
from the first and the last `SAMPLE` of each bar.

A chart counts `BUDGET` results at a time, from the newest bar back. What it has counted it keeps:
a bar whose time is over hardly changes. So where there are more, the older bars follow when the
page asks for itself again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hosting.dashboard.counts import Count, count, failures
from hosting.ids import uuid7_at
from hosting.queues.stores.tables import Tables

#: How many results are counted at a time for one chart, and at most for one bar.
BUDGET = 250_000

#: How many failures are looked at for one chart.
FAILURES = 5_000

#: How many results are read at either end of a bar.
SAMPLE = 25

#: Seconds for which a bar is kept: one that is young, and one that is old.
FRESH, OLD = 10.0, 120.0

#: Seconds after its time at which a bar is old.
AGED = 600.0


@dataclass(frozen=True, slots=True)
class Span:
    """What a chart shows: so many bars of so many seconds."""

    name: str
    width: int
    bars: int


SPANS = (Span("hour", 120, 30), Span("day", 1_800, 48))


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds, of a sample of jobs."""

    median: float = 0.0
    longest: float = 0.0

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Times:
        ordered = sorted(max(0.0, each) for each in seconds)
        return cls(ordered[len(ordered) // 2], ordered[-1]) if ordered else cls()


@dataclass(frozen=True, slots=True)
class Bar:
    """The jobs that were enqueued in a time and have ended; None: not counted yet."""

    at: datetime
    ended: Count | None
    failed: int = 0
    waited: Times = Times()
    ran: Times = Times()


_kept: dict[tuple[str, int, int], tuple[float, Bar]] = {}


def traffic(tables: Tables, span: Span) -> list[Bar]:
    """The bars of a chart, the oldest first."""
    now = time.time()
    last = int(now // span.width) * span.width
    starts = [last - span.width * number for number in range(span.bars)]
    failed = _failed(tables, span, starts[-1])
    left, bars = BUDGET, []
    for start in starts:
        key = (tables.alias, span.width, start)
        until, bar = _kept.get(key, (0.0, Bar(datetime.fromtimestamp(start, UTC), None)))
        if until < now and left > 0:
            bar = _bar(tables, span, start)
            left -= bar.ended.number if bar.ended else 0
            _kept[key] = (now + (OLD if start + span.width + AGED < now else FRESH), bar)
        bars.append(replace(bar, failed=failed[start]))
    _forget(tables, span, starts[-1])
    return bars[::-1]


def _forget(tables: Tables, span: Span, oldest: int) -> None:
    """Keep no bar that no chart shows any more."""
    for key in list(_kept):
        alias, width, start = key
        if (alias, width) == (tables.alias, span.width) and start < oldest:
            _kept.pop(key, None)


def _bar(tables: Tables, span: Span, start: int) -> Bar:
    rows = tables.results.filter(id__gte=uuid7_at(start), id__lt=uuid7_at(start + span.width))
    ended = count(rows.order_by("id").values("id"), BUDGET)
    sample = list(_sample(rows)) if ended.number else []
    waited = [(began - due).total_seconds() for due, began, _, _ in sample if began is not None]
    ran = [(end - claimed).total_seconds() for _, _, claimed, end in sample if claimed is not None]
    at = datetime.fromtimestamp(start, UTC)
    return Bar(at, ended, waited=Times.of(waited), ran=Times.of(ran))


def _sample(
    rows: Any,
) -> Iterator[tuple[datetime, datetime | None, datetime | None, datetime]]:
    """When jobs were due, were first begun, were last begun, and have ended."""
    columns = ("id", "enqueued_at", "run_after", "started_at", "claimed_at", "finished_at")
    ends = [rows.order_by(order).values_list(*columns)[:SAMPLE] for order in ("id", "-id")]
    found = {row[0]: row[1:] for end in ends for row in end}
    for enqueued_at, run_after, *rest in found.values():
        yield max(enqueued_at, run_after or enqueued_at), *rest


def _failed(tables: Tables, span: Span, oldest: int) -> Counter[int]:
    """How many jobs have failed, by the start of their bar."""
    rows = failures(tables).filter(id__gte=uuid7_at(oldest)).values_list("id", flat=True)
    return Counter(_seconds(each) // span.width * span.width for each in rows[:FAILURES])


def _seconds(job_id: UUID) -> int:
    """When a job was enqueued, by its id."""
    return (job_id.int >> 80) // 1000
