"""What jobs should be like after any calls of a store, in plain Python.

The methods are named as the store's, change the model as the store should change its tables, and
return what it should return. Time stands still here but where it is moved. Nothing depends on the
order of a set, as what is tried next depends on what is there.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from hosting.models import Job
from hosting.queues.stores.duties import MAX_DEATHS
from hosting.queues.stores.values import Failed, LimitRule, NewJob, Result, Retry, Succeeded
from tests.queues.stores.steps import make_due


@dataclass(kw_only=True)
class Expected:
    """What is known of one job that has not been forgotten."""

    id: UUID
    rank: int
    state: str  # or the status, once it has ended
    limit_key: str
    unique_key: str | None
    unique_until_claimed: bool
    is_due: bool = True
    due_at: datetime | None = None  # None: to be read from its row
    fence: int = 0
    claimed_by: str = ""
    failures: int = 0
    deaths: int = 0
    begun_fence: int = 0
    cancel_requested: bool = False
    errors: int = 0
    attempts: int = 0
    is_old: bool = False

    @property
    def place(self) -> Any:
        return (self.rank, self.due_at, self.id)

    def leave(self, state: str) -> None:
        """End an attempt that was begun."""
        self.state, self.claimed_by = state, ""
        self.attempts += 1


@dataclass
class Model:
    jobs: dict[UUID, Expected] = field(default_factory=dict)
    results: dict[UUID, Expected] = field(default_factory=dict)
    alive: set[str] = field(default_factory=set)
    rules: dict[str, LimitRule] = field(default_factory=dict)
    spent: dict[str, int] = field(default_factory=dict)  # shares of a rate that lie ahead of now
    reserved: dict[str, UUID] = field(default_factory=dict)

    def add(self, job: NewJob, is_early: bool) -> UUID:
        if job.limit:
            self.rules[job.limit.key] = job.limit
        holder = self._holder(job)
        if holder is not None:
            return holder
        if job.unique_period is not None:
            self.reserved[job.unique_key or ""] = job.id
        self.jobs[job.id] = Expected(
            id=job.id,
            rank=-job.priority,
            state="waiting" if is_early else "blocked" if job.limit else "ready",
            limit_key=job.limit.key if job.limit else "",
            unique_key=None if job.unique_period is not None else job.unique_key,
            unique_until_claimed=job.unique_until_claimed,
            is_due=not is_early,
        )
        return job.id

    def _holder(self, job: NewJob) -> UUID | None:
        if job.unique_key is None:
            return None
        if job.unique_period is not None:
            holder = self.reserved.get(job.unique_key)
            return holder if holder in self.jobs or holder in self.results else None
        return next((e.id for e in self.jobs.values() if e.unique_key == job.unique_key), None)

    def claim(self, worker: str, limit: int, fences: Mapping[UUID, int]) -> list[UUID]:
        """Claim, with these fences, which the store chooses; the ids of what is claimed."""
        chosen = sorted(self.of("ready"), key=lambda each: each.place)[:limit]
        for each in chosen:
            each.state, each.claimed_by = "running", worker
            each.fence = fences.get(each.id, 0)
            if each.unique_until_claimed:
                each.unique_key = None
        return [each.id for each in chosen]

    def deliver(self, job: NewJob, worker: str, fence: int) -> bool:
        """Add a job, claimed with this fence by the worker if that lives; whether it does."""
        self.add(job, is_early=False)
        if is_alive := worker in self.alive:
            each = self.jobs[job.id]
            each.state, each.claimed_by, each.fence = "running", worker, fence
        return is_alive

    def settle(self, job: UUID, fence: int, result: Result) -> bool:
        each = self._held(job, fence)
        if each is None:
            return False
        if isinstance(result, Retry) and each.cancel_requested:
            each.errors += result.error is not None
            self._cancel(each)
        elif isinstance(result, Retry):
            each.leave("waiting")
            each.is_due, each.due_at = result.delay <= 0, None
            each.failures += result.error is not None
            each.errors += result.error is not None
        else:
            each.leave("SUCCESSFUL" if isinstance(result, Succeeded) else "FAILED")
            each.errors += isinstance(result, Failed)
            self._end(each)
        return True

    def release(self, job: UUID, fence: int, begun: bool) -> bool:
        each = self._held(job, fence)
        if each is None:
            return False
        if each.cancel_requested:
            self._cancel(each)
        else:
            each.leave("ready")
        each.attempts -= not begun
        return True

    def begin(self, job: UUID, fence: int) -> bool:
        each = self._held(job, fence)
        if each is None:
            return False
        each.begun_fence = fence
        return True

    # Upkeep

    def promote(self) -> int:
        due = [each for each in self.of("waiting") if each.is_due]
        for each in due:
            each.state = "blocked" if each.limit_key else "ready"
        return len(due)

    def admit(self) -> int:
        return sum(self._admit(key, rule) for key, rule in self.rules.items())

    def _admit(self, key: str, rule: LimitRule) -> int:
        mine = [each for each in self.jobs.values() if each.limit_key == key]
        blocked = sorted((e for e in mine if e.state == "blocked"), key=lambda each: each.place)
        free = len(blocked)
        if rule.running is not None:
            free = min(free, rule.running - sum(e.state in ("ready", "running") for e in mine))
        if rule.count is not None:
            free = min(free, rule.count - self.spent.get(key, 0))
        admitted = blocked[: max(0, free)]
        for each in admitted:
            each.state = "ready"
        self.spent[key] = self.spent.get(key, 0) + len(admitted)
        return len(admitted)

    def rescue(self) -> tuple[set[UUID], set[UUID], set[UUID]]:
        given_back, buried, cancelled = set(), set(), set()
        for each in [each for each in self.of("running") if each.claimed_by not in self.alive]:
            deaths = each.deaths + (each.deaths == 0 or each.begun_fence == each.fence)
            if deaths >= MAX_DEATHS:
                each.leave("FAILED")
                each.errors += 1
                self._end(each)
                buried.add(each.id)
            elif each.cancel_requested:
                self._cancel(each)
                cancelled.add(each.id)
            else:
                each.leave("ready")
                each.deaths = deaths
                given_back.add(each.id)
        return given_back, buried, cancelled

    def prune(self, status: str) -> int:
        old = [e.id for e in self.results.values() if e.is_old and e.state == status]
        for job in old:
            del self.results[job]
        return len(old)

    # Control

    def cancel(self, ids: Collection[UUID]) -> set[UUID]:
        found = [self.jobs[job] for job in sorted(set(ids)) if job in self.jobs]
        for each in found:
            if each.state == "running":
                each.cancel_requested = True
            else:
                each.state = "FAILED"
                each.errors += 1
                self._end(each)
        return {each.id for each in found}

    def retry(self, ids: Collection[UUID]) -> set[UUID]:
        failed = {job for job in ids if job in self.results and self.results[job].state == "FAILED"}
        again = set()
        for job in sorted(failed):
            key = self.results[job].unique_key
            if key is not None and any(other.unique_key == key for other in self.jobs.values()):
                continue
            again.add(job)
            each = self.jobs[job] = self.results.pop(job)
            each.state = "blocked" if each.limit_key else "ready"
            each.failures = each.deaths = each.begun_fence = 0
            each.cancel_requested = each.is_old = False
            each.is_due, each.due_at = True, None
        return again

    def discard(self, ids: Collection[UUID]) -> set[UUID]:
        idle = {job for job in ids if job in self.jobs and self.jobs[job].state != "running"}
        found = idle | {job for job in ids if job in self.results}
        for job in found:
            self.jobs.pop(job, None)
            self.results.pop(job, None)
        return found

    def of(self, state: str) -> Iterable[Expected]:
        return [each for each in self.jobs.values() if each.state == state]

    def _held(self, job: UUID, fence: int) -> Expected | None:
        each = self.jobs.get(job)
        is_held = each is not None and (each.state, each.fence) == ("running", fence)
        return each if is_held else None

    def _cancel(self, each: Expected) -> None:
        each.leave("FAILED")
        each.errors += 1
        self._end(each)

    def _end(self, each: Expected) -> None:
        self.results[each.id] = self.jobs.pop(each.id)


def check(row: Job, expected: Expected) -> None:
    """See that a job's row is as it should be."""
    for name in (
        *("state", "fence", "claimed_by", "failures", "deaths", "begun_fence"),
        *("cancel_requested", "unique_key", "limit_key", "rank"),
    ):
        assert getattr(row, name) == getattr(expected, name), name
    if expected.due_at is None:
        if expected.is_due and (expected.fence or expected.errors):
            # Two moments of SQLite may or may not be the same, and the same steps must do the same.
            make_due(row.id)
            row.refresh_from_db()
        expected.due_at = row.due_at
    assert row.due_at == expected.due_at
    check_kept(vars(row), expected)


def check_kept(row: dict[str, Any], expected: Expected) -> None:
    """See that the row of a job or of a result tells of all attempts."""
    assert row["fence"] == expected.fence
    assert len(json.loads(row["errors"])) == expected.errors
    assert len(json.loads(row["worker_ids"])) == expected.attempts
    assert (row["started_at"] is not None) >= (expected.attempts > 0)
