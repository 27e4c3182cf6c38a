"""Who is told of jobs that other processes add, where several workers share a process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from hosting.models import HostProcess
from hosting.queues.ears import Ears
from hosting.queues.stores.base import Store
from hosting.queues.stores.upkeep import TableUpkeep
from hosting.threads import thread_stack
from tests.queues import tasks
from tests.queues.conftest import RunningWorker, until
from tests.queues.stores.steps import keeps_places

pytestmark = pytest.mark.django_db(transaction=True)

A, B = "one worker", "the other worker"


def is_listening() -> bool:
    """Whether others tell a process of what they add."""
    return HostProcess.objects.filter(is_listening=True).exists()


@pytest.fixture
def ears(store: Store) -> Ears:
    if not keeps_places(store):
        pytest.skip("nobody is told by this store")
    store.upkeep.renew("me", 3600)
    return Ears(store, "me")


def test_one_that_is_busy_does_not_keep_the_other_from_being_told(ears: Ears) -> None:
    ears.note(A, True)
    ears.note(B, True)
    ears.note(A, False)
    assert is_listening()
    ears.note(B, False)
    assert not is_listening()


def test_one_that_has_ended_is_not_waited_for(ears: Ears) -> None:
    ears.note(A, True)
    ears.note(B, True)
    ears.leave(A)
    ears.note(B, False)
    assert not is_listening()


def test_a_row_that_was_made_anew_is_written_again(ears: Ears, store: Store) -> None:
    ears.note(A, True)
    HostProcess.objects.all().delete()
    store.upkeep.renew("me", 3600)
    ears.note(A, True)
    assert not is_listening()  # nothing is written that is believed to stand there
    ears.doubt()
    ears.note(A, True)
    assert is_listening()


def test_nobody_waits_for_a_note_that_waits_for_the_database(ears: Ears) -> None:
    """The sign of life least of all, without which the process loses its claims."""
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            HostProcess.objects.select_for_update().get(id="me")
            noting = pool.submit(note_and_close, ears)
            until(lambda: waits_for_a_lock())
            ears.doubt()
            ears.leave(B)
            assert not noting.done()
        noting.result(20)


def note_and_close(ears: Ears) -> None:
    ears.note(A, True)
    connection.close()


def waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            # Not pg_stat_activity, which stays the same for as long as a transaction.
            "SELECT count(*) FROM pg_locks AS waiting WHERE NOT granted AND EXISTS ("
            "SELECT 1 FROM pg_locks AS here JOIN pg_database ON oid = here.database"
            " WHERE here.pid = waiting.pid AND datname = current_database())"
        )
        return bool(cursor.fetchone()[0])


def test_a_worker_that_sleeps_is_told_while_another_of_its_process_has_much_to_do(
    worker: Callable[..., RunningWorker], store: Store
) -> None:
    if not keeps_places(store):
        pytest.skip("nobody is told by this store")
    asleep = worker(queues=["b"])
    until(is_listening)
    busy = worker(queues=["a"], concurrency=1)
    for _ in range(3):  # of which it has a thread for one
        tasks.wait_at.using(queue_name="a").enqueue("gate")
    assert tasks.gates["gate"].entered.wait(20)
    rounds = busy.runtime.beats + 3
    until(lambda: busy.runtime.beats >= rounds)  # it has looked, and knows that there is more
    assert is_listening()
    assert asleep.error is None


def test_the_last_word_of_an_earlier_worker_does_not_count_for_a_later_one(
    worker: Callable[..., RunningWorker], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not keeps_places(store):
        pytest.skip("nobody is told by this store")
    retire, arrived, allowed = TableUpkeep.retire, threading.Event(), threading.Event()

    def retire_late(self: TableUpkeep, process: str) -> None:
        arrived.set()
        assert allowed.wait(20)
        retire(self, process)

    earlier = worker()
    until(is_listening)
    monkeypatch.setattr(TableUpkeep, "retire", retire_late)
    earlier.stop()
    assert arrived.wait(20)
    rounds = worker().runtime
    until(lambda: rounds.beats > 1)
    allowed.set()
    until(lambda: not any(map(is_waiting_to_retire, threading.enumerate())))
    until(is_listening)


def is_waiting_to_retire(thread: threading.Thread) -> bool:
    stack = thread_stack(thread) if thread.name.startswith("hosting:presence:") else ""
    return "retire_late" in stack
