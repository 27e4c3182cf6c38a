"""One suite for every store: what `hosting.queues.stores.base` promises."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hosting.compat import TaskError, TaskResultStatus
from hosting.ids import uuid7
from hosting.models import Job
from hosting.queues.stores.base import Store
from hosting.queues.stores.values import Claim, Depth, Failed, NewJob, Retry, Settlement, Succeeded

READY, RUNNING = TaskResultStatus.READY, TaskResultStatus.RUNNING
FAILED, SUCCESSFUL = TaskResultStatus.FAILED, TaskResultStatus.SUCCESSFUL
BROKEN = TaskError(
    exception_class_path="builtins.ValueError", traceback="it's 100% \u2028 'broken'\n"
)
HOUR = timedelta(hours=1)


def new_job(**values: Any) -> NewJob:
    defaults = {
        "id": uuid7(),
        "backend": "default",
        "queue_name": "default",
        "priority": 0,
        "task_path": "tests.queues.tasks.add",
        "args": "[1, 2]",
        "kwargs": "{}",
    }
    return NewJob(**{**defaults, **values})


def add(store: Store, **values: Any) -> Any:
    [record] = store.add([new_job(**values)])
    return record.id


def claim(store: Store, limit: int = 100, **values: Any) -> list[Claim]:
    given = {"worker_id": "w", "backend": "default", "queues": None, "limit": limit, **values}
    return store.claim(**given)


def claim_one(store: Store, **values: Any) -> Claim:
    [claimed] = claim(store, **values)
    return claimed


def settle(store: Store, claimed: Claim, result: Any) -> bool:
    return claimed.id in store.settle([Settlement(claimed.id, claimed.fence, result)])


def ids(claims: list[Claim]) -> list[Any]:
    return [each.id for each in claims]


def make_due(job_id: Any) -> None:
    Job.objects.filter(id=job_id).update(due_at=timezone.now() - HOUR)


# Adding


def test_what_is_added_is_returned_and_kept(store: Store) -> None:
    new = new_job(
        queue_name="mail",
        priority=-7,
        args=json.dumps(["\x00", "\ud800", "ä", "quote \" ' \\", "100 % {}", None, 1.5]),
        kwargs='{"a": {"b": [true]}}',
    )

    [record] = store.add([new])

    assert record == store.get([new.id])[new.id]
    assert record.args == ["\x00", "\ud800", "ä", "quote \" ' \\", "100 % {}", None, 1.5]
    assert record.kwargs == {"a": {"b": [True]}}
    assert (record.queue_name, record.priority, record.status) == ("mail", -7, READY)
    assert record.due_at == record.enqueued_at
    assert abs(record.enqueued_at - timezone.now()) < timedelta(minutes=1)
    assert (record.started_at, record.last_attempted_at, record.finished_at) == (None,) * 3
    assert (record.errors, record.worker_ids, record.claimed_by, record.fence) == ((), (), "", 0)
    assert record.damage is None


def test_a_batch_is_returned_in_its_order(store: Store) -> None:
    jobs = [new_job(priority=priority) for priority in (3, 1, 2)]

    assert [record.id for record in store.add(jobs)] == [job.id for job in jobs]
    assert store.add([]) == []


def test_a_job_is_rolled_back_with_its_transaction(store: Store) -> None:
    with transaction.atomic():
        add(store)
        transaction.set_rollback(True)

    assert Job.objects.count() == 0


def test_a_job_cannot_be_claimed_before_its_transaction_commits(
    store: Store, in_threads: Callable[..., list[Any]]
) -> None:
    with transaction.atomic():
        job = add(store)
        # On SQLite this also shows that looking at an empty queue waits for no writer.
        assert in_threads(lambda: claim(store)) == [[]]

    assert [ids(claims) for claims in in_threads(lambda: claim(store))] == [[job]]


def test_moments_are_of_the_statement_and_not_of_the_transaction(store: Store) -> None:
    with transaction.atomic():
        first = store.add([new_job()])[0].enqueued_at
        second = store.add([new_job()])[0].enqueued_at

    assert second > first if connection.vendor == "postgresql" else second >= first


# Claiming


def test_a_claim_marks_the_job(store: Store) -> None:
    job = add(store)

    record = claim_one(store, worker_id="one").record

    assert record == store.get([job])[job]
    assert (record.id, record.status, record.claimed_by, record.fence) == (job, RUNNING, "one", 1)
    assert record.worker_ids == ("one",)
    assert record.started_at == record.last_attempted_at
    assert record.started_at is not None
    assert record.started_at >= record.enqueued_at
    assert claim(store) == []


def test_claims_come_by_priority_then_due_time_then_id(store: Store) -> None:
    now = timezone.now()
    at_once = add(store)
    low = add(store, priority=-100, run_after=now - 3 * HOUR)
    waited = add(store, run_after=now - HOUR)
    waited_longer = add(store, run_after=now - 2 * HOUR)
    high = add(store, priority=100)
    same = now - timedelta(minutes=5)
    twins = sorted([add(store, priority=5, run_after=same) for _ in range(3)])

    # Those with a run_after became due before the first was enqueued.
    expected = [high, *twins, waited_longer, waited, at_once, low]
    assert ids(claim(store, limit=5)) == expected[:5]
    assert ids(claim(store)) == expected[5:]


def test_no_more_than_the_limit_is_claimed(store: Store) -> None:
    store.add([new_job() for _ in range(5)])

    assert [len(claim(store, limit=2)) for _ in range(4)] == [2, 2, 1, 0]


def test_a_job_is_not_claimed_before_it_is_due(store: Store) -> None:
    job = add(store, run_after=timezone.now() + HOUR)
    assert claim(store) == []

    make_due(job)
    assert ids(claim(store)) == [job]


def test_only_the_named_backend_and_queues_are_claimed(store: Store) -> None:
    other = add(store, backend="other")
    mail = add(store, queue_name="mail")
    news = add(store, queue_name="news")

    assert claim(store, queues=["none", "of these"]) == []
    assert claim(store, queues=[]) == []
    assert ids(claim(store, queues=["mail", "else"])) == [mail]
    assert ids(claim(store)) == [news]
    assert ids(claim(store, backend="other")) == [other]


def test_no_job_is_claimed_twice(store: Store, in_threads: Callable[..., list[Any]]) -> None:
    everything = {record.id for record in store.add([new_job() for _ in range(60)])}

    def drain(worker_id: str) -> list[Any]:
        claimed: list[Any] = []
        while store.seconds_until_due("default", None) is not None:
            claimed += ids(claim(store, worker_id=worker_id, limit=3))
        return claimed

    shares = in_threads(*[lambda n=n: drain(f"w{n}") for n in range(4)])
    claimed = [job for share in shares for job in share]

    assert len(claimed) == 60
    assert set(claimed) == everything


def test_a_job_that_another_transaction_holds_is_passed_over(
    store: Store, in_threads: Callable[..., list[Any]]
) -> None:
    if not connection.features.has_select_for_update_skip_locked:
        pytest.skip("The database has no row locks.")
    held, free = add(store), add(store)

    with transaction.atomic():
        Job.objects.select_for_update().get(id=held)
        assert [ids(claims) for claims in in_threads(lambda: claim(store))] == [[free]]


# Settling


def test_a_success_is_kept(store: Store) -> None:
    job = add(store)

    finished = store.settle([Settlement(job, claim_one(store).fence, Succeeded('{"a": [1]}'))])

    record = store.get([job])[job]
    assert (record.status, record.return_value, record.errors) == (SUCCESSFUL, {"a": [1]}, ())
    assert record.claimed_by == ""
    assert finished == {job: record.finished_at}
    assert record.started_at is not None
    assert record.finished_at is not None
    assert record.finished_at >= record.started_at


def test_a_failure_is_kept(store: Store) -> None:
    job = add(store)

    assert settle(store, claim_one(store), Failed(BROKEN))

    record = store.get([job])[job]
    assert (record.status, record.errors, record.return_value) == (FAILED, (BROKEN,), None)
    assert isinstance(record.finished_at, datetime)


def test_a_retry_waits_for_its_delay(store: Store) -> None:
    job = add(store)

    claimed = claim_one(store)
    assert store.settle([Settlement(job, claimed.fence, Retry(BROKEN, 3600))]) == {job: None}

    record = store.get([job])[job]
    assert (record.status, record.finished_at, record.claimed_by) == (READY, None, "")
    assert record.run_after is None
    assert timedelta(minutes=59) < record.due_at - timezone.now() < timedelta(minutes=61)
    assert claim(store) == []


def test_every_attempt_is_remembered(store: Store) -> None:
    job = add(store)
    first = claim_one(store, worker_id="a").record
    settle(store, Claim(first), Retry(BROKEN, 0))
    second = claim_one(store, worker_id='b "quoted"').record
    other = TaskError(exception_class_path="builtins.KeyError", traceback="]")
    settle(store, Claim(second), Retry(other, 0))
    settle(store, claim_one(store, worker_id="c"), Succeeded("1"))

    record = store.get([job])[job]
    assert record.worker_ids == ("a", 'b "quoted"', "c")
    assert record.errors == (BROKEN, other)
    assert record.started_at == first.started_at
    moments = [each.last_attempted_at for each in (first, second, record) if each.last_attempted_at]
    assert len(moments) == 3
    assert moments == sorted(moments)
    assert record.fence == 3


@pytest.mark.parametrize("result", [Succeeded("1"), Failed(BROKEN), Retry(BROKEN, 0)])
def test_a_stale_claim_settles_nothing(store: Store, result: Any) -> None:
    job = add(store)
    stale = claim_one(store, worker_id="stale")
    store.release([stale])
    assert not settle(store, stale, result)  # the job waits

    current = claim_one(store, worker_id="current")
    before = store.get([job])[job]
    assert not settle(store, stale, result)  # another has it
    assert store.get([job])[job] == before

    assert settle(store, current, Succeeded("2"))
    assert not settle(store, current, result)  # it has ended


def test_of_a_batch_only_what_is_current_is_settled(store: Store) -> None:
    store.add([new_job() for _ in range(6)])
    claims = claim(store)
    [stale] = store.release([claims[0]])
    results = [Succeeded("0"), Succeeded("1"), Failed(BROKEN), Retry(BROKEN, 60)]
    batch = [
        Settlement(each.id, each.fence, result)
        for each, result in zip(claims, results, strict=False)
    ]
    wrong_fence = Settlement(claims[4].id, claims[4].fence + 1, Succeeded("4"))
    unknown = Settlement(uuid7(), 1, Succeeded("5"))

    accepted = store.settle([*batch, wrong_fence, unknown])

    assert set(accepted) == {claims[1].id, claims[2].id, claims[3].id}
    statuses = {record.id: record.status for record in store.get(ids(claims)).values()}
    assert [statuses[each.id] for each in claims] == [
        READY,
        SUCCESSFUL,
        FAILED,
        READY,
        RUNNING,
        RUNNING,
    ]
    assert stale == claims[0].id
    assert store.settle([]) == {}


# Releasing


def test_a_released_job_can_be_claimed_at_once(store: Store) -> None:
    job = add(store)
    later = add(store)
    first = claim_one(store, limit=1)

    assert store.release([first]) == {job}

    record = store.get([job])[job]
    assert (record.status, record.claimed_by, record.errors) == (READY, "", ())
    assert record.due_at == first.record.due_at
    again = claim(store)
    assert ids(again) == [job, later]
    assert again[0].fence > first.fence


def test_only_the_current_claim_can_be_released(store: Store) -> None:
    stale, settled, current = (claim_one(store) for _ in range(3) if add(store))
    store.release([stale])
    claim_one(store)
    settle(store, settled, Succeeded("1"))

    assert store.release([stale, settled, current]) == {current.id}
    assert store.release([]) == set()


def test_a_worker_finds_what_it_holds(store: Store) -> None:
    store.add([new_job() for _ in range(4)])
    mine = claim(store, limit=2, worker_id="me")
    claim(store, limit=1, worker_id="you")
    settle(store, mine[0], Succeeded("1"))

    assert store.held_by("me") == [mine[1]]
    assert store.held_by("nobody") == []


# Looking


def test_get_gives_what_there_is(store: Store) -> None:
    job = add(store)

    assert list(store.get([uuid7(), job])) == [job]
    assert store.get([]) == {}


def test_seconds_until_due(store: Store) -> None:
    assert store.seconds_until_due("default", None) is None
    add(store, run_after=timezone.now() + HOUR, queue_name="mail")
    add(store, run_after=timezone.now() + 2 * HOUR)
    add(store, backend="other")

    assert store.seconds_until_due("default", None) == pytest.approx(3600, abs=60)
    assert store.seconds_until_due("default", ["default"]) == pytest.approx(7200, abs=60)
    assert store.seconds_until_due("default", ["none"]) is None
    assert store.seconds_until_due("other", None) == pytest.approx(0, abs=60)
    assert store.seconds_until_due("other", None) <= 0
    claim(store, backend="other")
    assert store.seconds_until_due("other", None) is None


def test_counts(store: Store) -> None:
    assert store.counts() == []
    store.add([new_job(queue_name="mail") for _ in range(3)] + [new_job()])
    claim(store, limit=2, queues=["mail"])

    assert sorted(store.counts(), key=lambda depth: (depth.queue_name, depth.status)) == [
        Depth("default", "default", READY, 1),
        Depth("default", "mail", READY, 1),
        Depth("default", "mail", RUNNING, 2),
    ]


def test_finished_jobs_are_deleted_when_they_are_old(store: Store) -> None:
    store.add([new_job() for _ in range(6)])
    claims = claim(store, limit=5)
    for each in claims[:4]:
        settle(store, each, Succeeded("1"))
    old = timezone.now() - 2 * HOUR
    Job.objects.filter(id__in=ids(claims[:3])).update(finished_at=old)
    Job.objects.filter(id=claims[4].id).update(enqueued_at=old, started_at=old)

    assert store.delete_finished(3 * HOUR, 100) == 0
    assert store.delete_finished(HOUR, 2) == 2
    assert store.delete_finished(HOUR, 2) == 1
    assert store.delete_finished(HOUR, 2) == 0
    assert Job.objects.count() == 3


# Damage


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("args", "{not json"),
        ("args", '{"a": 1}'),
        ("args", "[NaN]"),
        ("args", ""),
        ("kwargs", "[1]"),
        ("kwargs", "[" * 100_000),
        ("errors", '[{"traceback": "x"}]'),
        ("errors", "nonsense"),
        ("worker_ids", "[1]"),
        ("worker_ids", "nonsense"),
        ("return_value", "nonsense"),
        ("status", "ASLEEP"),
    ],
)
def test_a_damaged_row_is_a_record_that_says_so(store: Store, column: str, text: str) -> None:
    job = add(store)
    Job.objects.filter(id=job).update(**{column: text})

    record = store.get([job])[job]

    assert record.damage is not None
    assert record.damage.startswith(f"{column}: ")


@pytest.mark.parametrize("column", ["args", "errors", "worker_ids"])
def test_a_damaged_row_can_be_claimed_and_settled(store: Store, column: str) -> None:
    job = add(store)
    Job.objects.filter(id=job).update(**{column: "nonsense"})

    claimed = claim_one(store, worker_id="w")
    assert claimed.record.worker_ids == ("w",)
    assert settle(store, claimed, Failed(BROKEN))
    assert store.get([job])[job].errors == (BROKEN,)


# Any order


class Model:
    """What should be true of one job, whatever is done to it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.id = add(store)
        self.claims: list[Claim] = []
        self.holder: Claim | None = None
        self.ended = False
        self.errors = 0

    def claim(self) -> None:
        found = [each for each in claim(self.store) if each.id == self.id]
        assert bool(found) == (self.holder is None and not self.ended)
        if found:
            [self.holder] = found
            assert all(found[0].fence > earlier.fence for earlier in self.claims)
            self.claims += found

    def settle(self, which: int, result: Any) -> None:
        if self.claims:
            claimed = self.claims[which % len(self.claims)]
            accepted = settle(self.store, claimed, result)
            assert accepted == (claimed is self.holder)
            if accepted:
                self.holder = None
                self.ended = not isinstance(result, Retry)
                self.errors += not isinstance(result, Succeeded)

    def release(self, which: int) -> None:
        if self.claims:
            claimed = self.claims[which % len(self.claims)]
            assert bool(self.store.release([claimed])) == (claimed is self.holder)
            if claimed is self.holder:
                self.holder = None

    def check(self) -> None:
        record = self.store.get([self.id])[self.id]
        assert (record.status == RUNNING) == (self.holder is not None)
        assert (record.finished_at is not None) == self.ended
        assert (len(record.errors), len(record.worker_ids)) == (self.errors, len(self.claims))
        assert record.fence == len(self.claims)


steps = st.one_of(
    st.just(("claim",)),
    st.tuples(
        st.just("settle"),
        st.integers(0, 3),
        st.sampled_from([Succeeded("1"), Failed(BROKEN), Retry(BROKEN, 0), Retry(BROKEN, -1)]),
    ),
    st.tuples(st.just("release"), st.integers(0, 3)),
)


@given(st.lists(steps, max_size=12))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_order_of_calls_keeps_the_fence(store: Store, program: list[tuple[Any, ...]]) -> None:
    model = Model(store)
    for step, *arguments in program:
        getattr(model, step)(*arguments)
        model.check()
