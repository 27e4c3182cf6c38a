"""Any interleaving of calls leaves the tables as a model in plain Python has it.

STORE_EXAMPLES makes a longer and a different run of it.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hosting.compat import TaskResultStatus
from hosting.models import HostProcess, Job, JobResult, Limit, Reservation
from hosting.queues.stores.base import Store
from hosting.queues.stores.inbox import Inbox
from hosting.queues.stores.values import Claim, Failed, LimitRule, Retry, Succeeded
from tests.queues.stores.model import Model, check, check_kept
from tests.queues.stores.steps import (
    BROKEN,
    HOUR,
    claim,
    ids,
    keeps_places,
    let_die,
    let_pass,
    let_reservations_end,
    make_due,
    make_old,
    new_job,
    settlement,
    wanted,
)

LIMITS = [
    LimitRule(key="two", running=2),
    LimitRule(key="rate", count=2, period=20_000.0),
    LimitRule(key="both", running=1, count=3, period=30_000.0),
]
SHARE = 10_000.0  # seconds until either rate allows another
UNIQUE: list[dict[str, Any]] = [
    {"unique_key": "u"},
    {"unique_key": "u", "unique_until_claimed": True},
    {"unique_key": "period", "unique_period": 3600.0},
]
RETRIES = [Retry(BROKEN, 0), Retry(None, -1), Retry(BROKEN, 3600)]
RESULTS = [Succeeded("1"), Succeeded("2"), Failed(BROKEN), *RETRIES]
WORKERS = st.sampled_from("abcd")  # of which d never says that it lives
SOME = st.integers(0, 9)  # which of what there is, from the latest on
FEW = st.lists(SOME, min_size=1, max_size=3, unique=True)


#: Of the inbox of whoever gets deliveries.
KEY = 77


class AnyOrder(RuleBasedStateMachine):
    """Calls the store and the model alike, and compares them after each step."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        for table in (Job, JobResult, Limit, Reservation, HostProcess):
            table.objects.all().delete()
        self.store = store
        self.model = Model()
        self.claims: list[Claim] = []
        self.known: list[UUID] = []
        self.fences: dict[UUID, int] = {}
        self.final: dict[UUID, Any] = {}
        self.rests: Any = None
        if keeps_places(store):  # a session that rests, whoever's it is
            self.rests = connection.copy()
            self.rests.cursor().execute(f"SELECT pg_advisory_lock({KEY})")
        for worker in "abc":
            self.renew(worker)
            self.add(0)

    def teardown(self) -> None:
        if self.rests is not None:
            self.rests.close()

    # Adding and claiming

    @rule(priority=st.integers(-1, 1), hours=st.sampled_from([0, 0, -1, 1]))
    def enqueue(self, priority: int, hours: int) -> None:
        self.add(hours, priority=priority)

    @rule(
        hours=st.sampled_from([0, -1, 1]),
        unique=st.sampled_from(UNIQUE),
        limit=st.sampled_from([None, *LIMITS]),
    )
    def enqueue_with_a_key(self, hours: int, unique: Any, limit: LimitRule | None) -> None:
        self.add(hours, limit=limit, **unique)

    @rule(hours=st.sampled_from([0, 0, -1, 1]), limit=st.sampled_from(LIMITS))
    def enqueue_with_a_limit(self, hours: int, limit: LimitRule) -> None:
        for _ in range(2):
            self.add(hours, limit=limit)

    def add(self, hours: int, **values: Any) -> None:
        run_after = timezone.now() + hours * HOUR if hours else None
        job = new_job(run_after=run_after, **values)
        [record] = self.store.add([job])
        assert record.id == self.model.add(job, hours > 0)
        if record.id == job.id:
            self.known.append(job.id)

    @precondition(lambda self: self.model.of("ready"))
    @rule(worker=WORKERS, limit=st.integers(1, 4))
    def claim(self, worker: str, limit: int) -> None:
        self.note(claim(self.store, limit, worker_id=worker), worker, limit)

    def note(self, claims: list[Claim], worker: str, limit: int) -> None:
        fences = {each.id: each.fence for each in claims}
        assert list(fences) == self.model.claim(worker, limit, fences)
        for each in claims:
            assert each.fence > self.fences.get(each.id, 0)
            self.fences[each.id] = each.fence
        self.claims += claims

    @precondition(lambda self: self.rests is not None)
    @rule(worker=WORKERS, priority=st.integers(-1, 1))
    def deliver(self, worker: str, priority: int) -> None:
        job = new_job(priority=priority)
        inbox = Inbox("default", None, 3600.0, lambda claim: None)
        inbox.key = KEY
        self.store.note_listening(worker, True, [inbox])
        assert self.store.deliver(job, lambda: None) is not None
        self.store.note_listening(worker, False)
        claims = [each for each in self.store.held_by(worker) if each.id == job.id]
        fence = claims[0].fence if claims else 0
        assert self.model.deliver(job, worker, fence) == bool(claims)
        assert fence > max(self.fences.values(), default=0) or not claims
        self.known.append(job.id)
        self.fences.update((each.id, each.fence) for each in claims)
        self.claims += claims

    # Ending attempts, of this claim or of one long gone

    @precondition(lambda self: self.claims)
    @rule(which=SOME, result=st.sampled_from(RESULTS))
    def settle(self, which: int, result: Any) -> None:
        claimed = self.chosen(which)
        refused = self.store.settle([settlement(claimed, result)]).refused
        assert (not refused) == self.model.settle(claimed.id, claimed.fence, result)

    @precondition(lambda self: self.claims)
    @rule(
        which=FEW,
        results=st.lists(st.sampled_from(RESULTS), min_size=3, max_size=3),
        worker=WORKERS,
        limit=st.integers(1, 3),
    )
    def exchange(self, which: list[int], results: list[Any], worker: str, limit: int) -> None:
        chosen = {self.chosen(each).id: self.chosen(each) for each in which}
        pairs = list(zip(chosen.values(), results, strict=False))
        done = self.store.exchange(
            [settlement(*pair) for pair in pairs], wanted(limit, worker_id=worker)
        )
        refused = {c.id for c, result in pairs if not self.model.settle(c.id, c.fence, result)}
        assert done.refused == refused
        self.note(list(done.claims), worker, limit)

    @precondition(lambda self: self.late)
    @rule(which=SOME, result=st.sampled_from(RESULTS), worker=WORKERS)
    def settle_late(self, which: int, result: Any, worker: str) -> None:
        late = self.late[which % len(self.late)]
        done = self.store.exchange([settlement(late, result)], wanted(1, worker_id=worker))
        assert done.refused == {late.id}
        self.note(list(done.claims), worker, 1)

    @property
    def late(self) -> list[Claim]:
        running = {each.id: each.fence for each in self.model.of("running")}
        return [each for each in self.claims if running.get(each.id, each.fence) != each.fence]

    @precondition(lambda self: self.claims)
    @rule(worker=WORKERS)
    def take_over(self, worker: str) -> None:
        self.release(0, begun=True)
        self.claim(worker, 3)

    @precondition(lambda self: self.claims)
    @rule(which=SOME, begun=st.booleans())
    def release(self, which: int, begun: bool) -> None:
        claimed = self.chosen(which)
        refused = self.store.release([claimed], begun=begun).refused
        assert (not refused) == self.model.release(claimed.id, claimed.fence, begun)

    @precondition(lambda self: self.claims)
    @rule(which=SOME)
    def begin(self, which: int) -> None:
        claimed = self.chosen(which)
        accepted = self.store.upkeep.begin(claimed.id, claimed.fence)
        assert accepted == self.model.begin(claimed.id, claimed.fence)

    def chosen(self, which: int) -> Claim:
        """Mostly a claim that is good, and else any there has been."""
        running = {(each.id, each.fence) for each in self.model.of("running")}
        good = [each for each in self.claims if (each.id, each.fence) in running]
        pool = good if good and which < 7 else self.claims
        return pool[-1 - which % len(pool)]

    # Processes

    @rule(worker=st.sampled_from("abc"))
    def renew(self, worker: str) -> None:
        self.store.upkeep.renew(worker, 3600)
        self.model.alive.add(worker)

    @precondition(lambda self: self.model.alive)
    @rule(which=SOME, retires=st.booleans(), rescues=st.booleans())
    def end_a_process(self, which: int, retires: bool, rescues: bool) -> None:
        worker = sorted(self.model.alive)[which % len(self.model.alive)]
        self.store.upkeep.retire(worker) if retires else let_die(worker)
        self.model.alive.remove(worker)
        if rescues:
            self.rescue()

    @rule()
    def rescue(self) -> None:
        rescue = self.store.upkeep.rescue()
        found = (rescue.given_back, rescue.buried, rescue.cancelled)
        assert tuple(map(set, found)) == self.model.rescue()

    # Time and limits

    @precondition(lambda self: self.model.of("waiting"))
    @rule(which=SOME)
    def let_time_come(self, which: int) -> None:
        waiting = self.model.of("waiting")
        each = waiting[which % len(waiting)]
        make_due(each.id)
        each.is_due, each.due_at = True, None

    @rule(what=st.sampled_from(["promote", "admit", "both"]))
    def let_go_on(self, what: str) -> None:
        if what != "admit":
            assert self.store.upkeep.promote() == self.model.promote()
        if what != "promote":
            assert self.store.upkeep.admit()[0] == self.model.admit()

    @precondition(lambda self: any(self.model.spent.get(key) for key in ("rate", "both")))
    @rule()
    def let_time_pass_for_rates(self) -> None:
        for key in ("rate", "both"):
            if self.model.spent.get(key):
                let_pass(SHARE, key)
                self.model.spent[key] -= 1

    @precondition(lambda self: self.model.reserved)
    @rule()
    def let_reservations_end(self) -> None:
        let_reservations_end()
        self.model.reserved.clear()

    # Results and control

    @precondition(lambda self: self.model.results)
    @rule(which=SOME, status=st.sampled_from(["SUCCESSFUL", "FAILED"]))
    def prune(self, which: int, status: str) -> None:
        chosen = list(self.model.results)[-1 - which % len(self.model.results)]
        make_old(chosen, timedelta(hours=2))
        self.model.results[chosen].is_old = True
        self.final.pop(chosen)
        deleted = self.store.upkeep.prune("default", {TaskResultStatus(status): 3600.0})
        assert deleted == self.model.prune(status)

    @precondition(lambda self: self.known)
    @rule(which=FEW, what=st.sampled_from(["cancel", "retry", "retry", "discard"]))
    def control(self, which: list[int], what: str) -> None:
        chosen = [self.known[-1 - each % len(self.known)] for each in which]
        changed = getattr(self.store.control, what)(chosen)
        assert changed == getattr(self.model, what)(chosen)
        for job in changed if what != "cancel" else ():
            self.final.pop(job, None)

    # What holds at any time

    @invariant()
    def every_job_is_as_it_should_be(self) -> None:
        rows = {row.id: row for row in Job.objects.all()}
        assert rows.keys() == self.model.jobs.keys()
        for job, row in rows.items():
            check(row, self.model.jobs[job])
        keys = [row.unique_key for row in rows.values() if row.unique_key]
        assert len(keys) == len(set(keys))
        for limit in LIMITS:
            taken = [r for r in rows.values() if r.limit_key == limit.key]
            taken = [r for r in taken if r.state in ("ready", "running")]
            assert limit.running is None or len(taken) <= limit.running

    @invariant()
    def results_never_change(self) -> None:
        rows = {row["id"]: row for row in JobResult.objects.values()}
        assert rows.keys() == self.model.results.keys()
        for job, row in rows.items():
            assert row == self.final.setdefault(job, row)
            check_kept(row, self.model.results[job])
            assert row["status"] == self.model.results[job].state

    @invariant()
    def each_worker_finds_what_it_holds(self) -> None:
        for worker in "abcd"[: len(self.claims) % 5]:  # not all of them each time
            held = {e.id for e in self.model.of("running") if e.claimed_by == worker}
            assert set(ids(self.store.held_by(worker))) == held


def test_any_order_of_calls(store: Store) -> None:
    run_state_machine_as_test(
        lambda: AnyOrder(store),
        settings=settings(
            max_examples=int(os.environ.get("STORE_EXAMPLES", 40)),
            stateful_step_count=30,
            derandomize="STORE_EXAMPLES" not in os.environ,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
