"""Jobs that are claimed for a worker that rests, as they are enqueued; on PostgreSQL alone."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from hosting.compat import TaskResultStatus
from hosting.ids import process_name, uuid7
from hosting.models import HostProcess, Job, JobResult
from hosting.queues import backends, lulls, reception, workshop
from hosting.queues.backends import LONGEST_PATH
from hosting.queues.options import LONGEST_NAME
from hosting.queues.presence import Presence
from hosting.queues.stores import listener, store_for
from hosting.queues.stores.base import Store
from hosting.queues.stores.delivery import LARGEST
from hosting.queues.stores.inbox import Inbox
from hosting.queues.stores.values import Claim, NewJob
from hosting.queues.wakeup import subscribed
from tests.queues import tasks
from tests.queues.conftest import RunningWorker, until
from tests.queues.stores.steps import READY, RUNNING, add, claim_one, new_job, settle, state_of

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="only PostgreSQL has sessions that listen"
    ),
]

LEASE = 30.0


@pytest.fixture
def store(transactional_db: None) -> Store:
    return store_for("default")


class Desk:
    """As much of a worker as it takes to get deliveries; its process is `me`."""

    def __init__(self, store: Store, queues: list[str] | None = None) -> None:
        self.store = store
        self.claims: SimpleQueue[Claim] = SimpleQueue()
        self.rings = 0
        self.inbox = Inbox("default", queues, LEASE, self.claims.put)
        self._stack = ExitStack()

    def ring(self) -> bool:
        self.rings += 1
        return True

    def open(self) -> None:
        self.store.upkeep.renew("me", LEASE)
        self.store.note_listening("me", True, [self.inbox])
        self._stack.enter_context(self.store.listening(self.ring, self.inbox))
        self.inbox.want(True)
        until(self.is_open)

    def close(self) -> None:
        self._stack.close()

    def is_open(self) -> bool:
        return bool(session_of(self.inbox.key))

    def gets(self) -> Claim:
        return self.claims.get(timeout=20)

    @property
    def is_empty(self) -> bool:
        try:
            self.claims.get_nowait()
        except Empty:
            return True
        return False


def session_of(key: int) -> int | None:
    """The session that holds the lock of an inbox."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
            " AND classid = %s AND objid = %s AND mode = 'ExclusiveLock'",
            [key >> 32, key & 0xFFFFFFFF],
        )
        row = cursor.fetchone()
    return row[0] if row else None


def execute(statement: str, *parameters: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


@pytest.fixture
def make_desk(store: Store) -> Iterator[Callable[..., Desk]]:
    desks: list[Desk] = []

    def make(queues: list[str] | None = None) -> Desk:
        desks.append(Desk(store, queues))
        desks[-1].open()
        return desks[-1]

    yield make
    for desk in desks:
        desk.close()


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    return make_desk()


def deliver(store: Store, **values: Any) -> UUID:
    """Have a job added that is delivered to whoever rests."""
    job = new_job(**values)
    assert store.deliver(job, lambda: None) is not None
    return job.id


# What comes


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"args": '["\\"quoted\\"", "back\\\\slash", "tab\\t", "\\u00e4\\ud83d\\ude00"]'},
        {"kwargs": '{"a": {"b": [1.5, null, true]}}', "priority": 7, "options": '{"x": 1}'},
        {"queue_name": 'of "mail", \\ & \N{LATIN SMALL LETTER A WITH DIAERESIS}'},
    ],
    ids=["plain", "escaped", "nested", "queue"],
)
def test_what_is_delivered_is_a_claim_like_any_other(
    store: Store, desk: Desk, values: dict[str, Any]
) -> None:
    job = deliver(store, **values)
    delivered = desk.gets()
    assert state_of(job) == RUNNING
    [held] = store.held_by("me")
    assert delivered.record == held.record
    assert (delivered.id, delivered.fence) == (job, held.fence)
    rank, due_at, last = delivered.key
    assert (rank, store._moment(due_at), last) == held.key  # type: ignore[attr-defined]
    assert delivered.record.worker_ids == ("me",)
    assert store.waited(delivered) == 0
    assert settle(store, delivered)
    assert JobResult.objects.get(id=job).status == TaskResultStatus.SUCCESSFUL


def test_after_a_delivery_the_inbox_is_closed(store: Store, desk: Desk) -> None:
    deliver(store)
    desk.gets()
    until(lambda: not desk.is_open())


def test_its_fence_is_greater_than_any_before(store: Store, desk: Desk) -> None:
    add(store)
    before = claim_one(store)
    deliver(store)
    delivered = desk.gets()
    assert delivered.fence > before.fence
    store.release([delivered], begun=False)
    again = claim_one(store)
    assert again.fence > delivered.fence
    assert not settle(store, delivered)
    assert settle(store, again)


def test_one_of_those_that_rest_gets_it(store: Store, make_desk: Callable[..., Desk]) -> None:
    store.upkeep.renew("me", LEASE)
    desks = [make_desk(), make_desk()]
    store.note_listening("me", True, [each.inbox for each in desks])
    deliver(store)
    until(lambda: any(desk.claims.qsize() for desk in desks))
    for desk in desks:
        desk.close()  # what was sent before that has come
    assert sum(desk.claims.qsize() for desk in desks) == 1


# What does not come, and is there for everybody then


def refuse_queue(desk: Desk) -> None:
    desk.store.control.pause_queue("default", "default")


def close_inbox(desk: Desk) -> None:
    desk.inbox.want(False)
    until(lambda: not desk.is_open())


def end_session(desk: Desk) -> None:
    execute("SELECT pg_terminate_backend(%s)", session_of(desk.inbox.key))
    desk.inbox.want(False)
    until(lambda: not desk.is_open())


def be_late(desk: Desk) -> None:
    """As a process that should have renewed its row by now."""
    soon = timezone.now() + timedelta(seconds=LEASE * 0.6)
    HostProcess.objects.update(alive_until=soon)


def serve_others(desk: Desk) -> None:
    other = Inbox("default", ["mail"], LEASE, desk.claims.put)
    other.key, other.channel = desk.inbox.key, desk.inbox.channel
    desk.store.note_listening("me", True, [other])


def serve_another_backend(desk: Desk) -> None:
    other = Inbox("other", None, LEASE, desk.claims.put)
    other.key, other.channel = desk.inbox.key, desk.inbox.channel
    desk.store.note_listening("me", True, [other])


def forget_inboxes(desk: Desk) -> None:
    """As a process of an earlier version."""
    HostProcess.objects.update(inboxes=None)


@pytest.mark.parametrize(
    "hinder",
    [
        refuse_queue,
        close_inbox,
        end_session,
        be_late,
        serve_others,
        serve_another_backend,
        forget_inboxes,
    ],
)
def test_nothing_is_delivered_to_who_cannot_take_it(
    store: Store, desk: Desk, hinder: Callable[[Desk], None]
) -> None:
    hinder(desk)
    rings = desk.rings
    assert state_of(deliver(store)) == READY
    if hinder is not end_session:
        until(lambda: desk.rings > rings)  # it is told, as of any other job
    assert desk.is_empty


def test_only_the_queues_of_a_worker_are_delivered(
    store: Store, make_desk: Callable[..., Desk]
) -> None:
    desk = make_desk(["mail", "sms"])
    assert state_of(deliver(store, queue_name="print")) == READY
    job = deliver(store, queue_name="sms")
    assert desk.gets().id == job


def tomorrow() -> Any:
    return timezone.now() + timedelta(days=1)


@pytest.mark.parametrize(
    "values",
    [
        {"run_after": tomorrow},
        {"expires_in": lambda: 60.0},
        {"unique_key": lambda: "k"},
        {"batch_id": uuid7, "is_held": lambda: True},
        {"args": lambda: f'["{"x" * LARGEST}"]'},
    ],
    ids=["later", "expires", "unique", "held", "large"],
)
def test_some_jobs_are_added_in_the_other_way(
    store: Store, desk: Desk, values: dict[str, Callable[[], Any]]
) -> None:
    job = new_job(**{name: make() for name, make in values.items()})
    assert store.deliver(job, lambda: None) is None
    assert not Job.objects.exists()


def test_the_largest_that_is_sent_has_room(store: Store, desk: Desk) -> None:
    def job_with(backslashes: int) -> NewJob:
        path, name = "\N{GRINNING FACE}" * LONGEST_PATH, "\N{GRINNING FACE}" * LONGEST_NAME
        args = '["' + "\\" * backslashes + '"]'
        return new_job(args=args, task_path=path, queue_name=name)

    room = LARGEST - len('[""]{}')
    assert store.deliver(job_with(room + 1), lambda: None) is None
    job = job_with(room)
    assert store.deliver(job, lambda: None) is not None
    assert desk.gets().args == job.args


def test_in_a_transaction_nothing_is_delivered(store: Store, desk: Desk) -> None:
    with transaction.atomic():
        assert store.deliver(new_job(), lambda: None) is None


def test_what_is_no_job_is_ignored(store: Store, desk: Desk) -> None:
    assert desk.inbox.has_missed()  # as before it listened
    for text in ("[]", "{}", "[1]", '["x"]', "no JSON", "[null]"):
        execute("SELECT pg_notify(%s, %s)", desk.inbox.channel, text)
    job = deliver(store)
    assert desk.gets().id == job
    assert desk.inbox.has_missed()  # perhaps it was one, which is to be looked for


def test_whoever_listens_again_looks_for_what_it_has_missed(store: Store, desk: Desk) -> None:
    assert desk.inbox.has_missed()
    assert not desk.inbox.has_missed()
    session = session_of(desk.inbox.key)
    execute("SELECT pg_terminate_backend(%s)", session)
    until(lambda: session_of(desk.inbox.key) not in (None, session))
    assert desk.inbox.has_missed()
    job = deliver(store)
    assert desk.gets().id == job


def test_an_address_is_no_secret_in_two_places(desk: Desk) -> None:
    """The key of the lock can be seen by everybody, and says nothing of the channel."""
    other = Inbox("default", None, LEASE, desk.claims.put)
    assert (other.key, other.channel) != (desk.inbox.key, desk.inbox.channel)
    assert str(desk.inbox.key) not in desk.inbox.channel
    assert f"{desk.inbox.key:x}" not in desk.inbox.channel


# Enqueueing


def test_a_job_ends_a_lull_if_none_came_shortly_before(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(lulls, "_latest", {})
    monkeypatch.setattr(lulls.time, "monotonic", lambda: now)
    assert lulls.ends_lull("one")
    assert not lulls.ends_lull("one")
    assert lulls.ends_lull("other")
    now += lulls.LULL * 0.9
    assert not lulls.ends_lull("one")
    now += lulls.LULL * 1.1
    assert lulls.ends_lull("one")
    now += lulls.LULL * 1.1
    with subscribed("one", lambda: None):  # who is here is nearer
        assert not lulls.ends_lull("one")


def test_a_job_that_is_enqueued_by_itself_is_delivered(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lulls, "_latest", {})
    monkeypatch.setattr(lulls.time, "monotonic", lambda: 100.0)
    result = tasks.add.enqueue(1, b=2)
    assert str(desk.gets().id) == result.id
    assert result.status == TaskResultStatus.READY  # as of when it was enqueued
    result.refresh()
    assert result.status == TaskResultStatus.RUNNING

    following = tasks.add.enqueue(3)
    assert state_of(UUID(following.id)) == READY


# A worker


@pytest.fixture
def delivering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have jobs delivered to a worker that is in this process, too."""
    monkeypatch.setattr(backends, "ends_lull", lambda alias: True)
    monkeypatch.setattr(backends.DatabaseBackend, "_wake", lambda self: None)


@pytest.fixture
def open_inboxes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have inboxes stay open, as they are for a moment after something has come."""
    want = Inbox.want
    monkeypatch.setattr(Inbox, "want", lambda self, is_wanted: want(self, True))


def rests() -> bool:
    """Whether this process has a worker that rests."""
    return has_open_inbox() and HostProcess.objects.get(id=process_name()).is_listening


def has_open_inbox() -> bool:
    return any(map(session_of, keys()))


def keys() -> list[int]:
    """Those of the inboxes of this process; sessions of an earlier test may still hold theirs."""
    row = HostProcess.objects.filter(id=process_name()).first()
    return [inbox["key"] for inbox in json.loads(row.inboxes or "[]")] if row else []


def was_delivered(result: Any) -> bool:
    """Whether it was claimed in the moment in which it was enqueued."""
    row = JobResult.objects.get(id=result.id)
    return bool(row.claimed_at == row.enqueued_at)


def has_ended(result: Any) -> bool:
    return JobResult.objects.filter(id=result.id).exists()


Start = Callable[..., RunningWorker]


def test_a_worker_that_rests_executes_what_is_delivered(worker: Start, delivering: None) -> None:
    running = worker(poll_interval=60.0)
    for number in range(3):
        until(rests)
        result = tasks.add.enqueue(number, b=1)
        until(lambda result=result: has_ended(result))
        assert was_delivered(result)
    until(lambda: running.service.facts()["running"] == 0)
    assert running.service.facts()["executed"] == 3


def test_one_that_is_at_work_gets_nothing(worker: Start, delivering: None) -> None:
    running = worker(poll_interval=60.0)
    until(rests)
    first = tasks.wait_at.enqueue("gate")
    assert tasks.gates["gate"].entered.wait(20)
    until(lambda: not has_open_inbox())
    rounds = running.runtime.beats + 2
    until(lambda: running.runtime.beats >= rounds)
    assert not inbox_of(running).is_wanted  # nor will it be opened
    second = tasks.add.enqueue(1)
    until(lambda: has_ended(second))  # in the other way: another thread has nothing to do
    assert not was_delivered(second)
    tasks.gates["gate"].opened.set()
    until(lambda: has_ended(first))
    assert was_delivered(first)


def inbox_of(running: RunningWorker) -> Any:
    shift: Any = running.service._shift
    return shift._reception._inbox


def test_what_comes_to_one_without_a_thread_is_given_back_at_once(
    worker: Start, delivering: None, open_inboxes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workshop, "STUCK", 3600.0)  # as what waits for a thread would be
    worker(poll_interval=60.0, concurrency=1)
    until(rests)
    tasks.wait_at.enqueue("gate")
    assert tasks.gates["gate"].entered.wait(20)
    second = tasks.add.enqueue(1)
    until(lambda: state_of(UUID(second.id)) == READY)
    assert Job.objects.get(id=second.id).worker_ids == "[]"


def test_one_that_claims_no_more_gives_it_back(
    worker: Start, delivering: None, open_inboxes: None
) -> None:
    running = worker(poll_interval=60.0)
    until(rests)
    running.service.claim_no_more()
    result = tasks.add.enqueue(1)
    until(lambda: state_of(UUID(result.id)) == READY)
    until(lambda: running.service.is_done)


def test_what_has_come_to_nobody_is_given_back(
    worker: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the listening session had ended between the commit and the notification."""
    told: list[Store] = []
    monkeypatch.setattr(reception, "wake_all", told.append)
    worker(poll_interval=60.0)
    until(rests)
    job = claimed_for_this_process()
    [key] = keys()
    execute("SELECT pg_terminate_backend(%s)", session_of(key))
    until(lambda: JobResult.objects.filter(id=job).exists())
    assert told  # others may be nearer


def test_what_has_come_last_is_given_back(worker: Start) -> None:
    running = worker(poll_interval=60.0)
    until(rests)
    job = claimed_for_this_process()
    running.stop()
    assert state_of(job) == READY


def claimed_for_this_process() -> UUID:
    """A job that was claimed for a worker of this process, which knows nothing of it."""
    with transaction.atomic():
        add(store_for("default"))
        return claim_one(store_for("default"), worker_id=process_name()).id


# What a process knows of its claims


def test_a_stray_is_not_taken_once_it_was_disowned(store: Store) -> None:
    presence = Presence(store, LEASE)
    add(store)
    claimed = claim_one(store)
    assert presence.strays([claimed]) == [claimed]
    assert not presence.takes(claimed)
    assert claimed.id not in presence.held


def test_what_is_held_is_no_stray(store: Store) -> None:
    presence = Presence(store, LEASE)
    add(store)
    claimed = claim_one(store)
    assert presence.takes(claimed)
    assert presence.strays([claimed]) == []
    presence.lets_go(claimed)
    assert presence.strays([claimed]) == [claimed]


def test_while_a_worker_claims_nobody_can_tell_what_is_a_stray(store: Store) -> None:
    presence = Presence(store, LEASE)
    add(store)
    claimed = claim_one(store)
    with presence.claiming():
        assert presence.strays([claimed]) is None
        presence.holds([claimed])
    assert presence.strays([claimed]) == []


def test_who_lets_go_of_a_claim_leaves_a_later_one_alone(store: Store) -> None:
    """As where one worker gives a job back that another of the process claims at once."""
    presence = Presence(store, LEASE)
    add(store)
    earlier = claim_one(store)
    presence.holds([earlier])
    store.release([earlier], begun=False)
    later = claim_one(store)
    presence.holds([later])
    presence.lets_go(earlier)
    assert presence.strays([later]) == []


# When something is wrong


def test_without_its_migration_a_job_is_added_in_the_other_way(store: Store, desk: Desk) -> None:
    execute("ALTER TABLE hosting_hostprocess RENAME COLUMN inboxes TO others")
    try:
        job = new_job()
        assert store.deliver(job, lambda: None) is None
    finally:
        execute("ALTER TABLE hosting_hostprocess RENAME COLUMN others TO inboxes")
    store.add_one(job, lambda: None)
    assert store.deliver(new_job(), lambda: None) is None  # nor is it tried again at once
    assert deliver(store_for("default")) == desk.gets().id


def test_a_session_that_does_not_come_back_is_known_to_have_missed_something(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(alias: str) -> Any:
        raise OperationalError("too many clients already")

    desk.inbox.has_missed()
    monkeypatch.setattr(listener, "_apart", fail)
    execute("SELECT pg_terminate_backend(%s)", session_of(desk.inbox.key))
    until(desk.inbox.has_missed)


def test_who_leaves_waits_for_those_that_have_found_it_open(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "FAREWELL", 20.0)
    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(f"SELECT pg_advisory_xact_lock_shared({desk.inbox.gate})")
            desk.close()
            until(lambda: first(waiting) == 1)
            assert is_anybody_listening()
            cursor.execute("COMMIT")
        until(lambda: not is_anybody_listening())
    finally:
        other.close()


def first(statement: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


def is_anybody_listening() -> bool:
    return any(each.name.startswith("hosting:listen:") for each in threading.enumerate())


def test_a_session_that_is_lent_to_others_gets_nothing_more(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """As by a pooler of transactions, where the lock is not there any more when it is let go."""
    execute("SELECT pg_terminate_backend(%s)", session_of(desk.inbox.key))
    until(lambda: "interrupted" in caplog.text)
    until(desk.is_open)
    caplog.clear()
    key, desk.inbox.key = desk.inbox.key, 1  # so it lets go of what it does not have
    desk.inbox.want(False)
    until(lambda: "set LISTEN to False" in caplog.text)
    desk.inbox.key = key
    rings = desk.rings
    desk.inbox.want(True)
    until(lambda: desk.rings > rings)  # it listens again
    assert state_of(deliver(desk.store)) == READY


def test_in_an_outage_nothing_is_delivered(worker: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OperationalError("the server is away, but for those who listen")

    running = worker(poll_interval=60.0)
    until(rests)
    shift: Any = running.service._shift
    monkeypatch.setattr(shift._lookout, "refresh", fail)
    shift._wake.set()
    until(lambda: not has_open_inbox())
    monkeypatch.undo()


def test_what_comes_after_the_end_is_not_begun(worker: Start) -> None:
    running = worker(poll_interval=60.0)
    until(rests)
    shift: Any = running.service._shift
    running.stop()
    tasks.note.enqueue("begun")
    claimed = claim_one(store_for("default"), worker_id=process_name())
    shift._reception.take(claimed)
    assert not shift._workshop
    assert claimed.id not in shift._presence.held
    assert tasks.calls == []


def test_a_stray_is_found_without_a_reason(worker: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reception, "CAUTION", 0.05)
    worker(poll_interval=0.05)
    until(rests)
    job = claimed_for_this_process()
    until(lambda: JobResult.objects.filter(id=job).exists())


def test_a_stray_of_one_that_has_ended_is_found_by_another_of_its_process(worker: Start) -> None:
    worker(poll_interval=60.0)
    second = worker(poll_interval=60.0)
    until(lambda: len(keys()) == 2 and all(map(session_of, keys())))
    job = claimed_for_this_process()
    second.stop(0.0)  # without time to look itself
    until(lambda: JobResult.objects.filter(id=job).exists())
