"""Short jobs, and groups of atomic ones, where fewer threads are enough than there could be."""

from collections.abc import Callable

import pytest

from hosting.models import Job, JobResult, JobState
from hosting.queues import workshop
from hosting.queues.pace import Pace
from hosting.queues.parallelism import Parallelism
from tests.queues.at_work import atomic_tasks
from tests.queues.conftest import RunningWorker, until
from tests.queues.tasks import calls, gates, note, wait_at

pytestmark = pytest.mark.django_db(transaction=True)

Start = Callable[..., RunningWorker]

CROWD = 1_000


class Judged(Parallelism):
    """Has come to a judgement: the first thread that asks is not needed, and `more` are to come."""

    more = 0

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.crowd = CROWD
        self.asked: list[int] = []

    def is_enough(self, thread: int) -> bool:
        self.asked.append(thread)
        return len(self.asked) == 1

    def judge(self) -> int:
        return self.more

    def most_of(self, threads: int) -> int:
        return 1


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> type[Judged]:
    """Have a worker of quick jobs, each a group, wake threads by this judgement alone."""
    monkeypatch.setattr(Judged, "more", 0)
    monkeypatch.setattr(workshop, "Parallelism", Judged)
    monkeypatch.setattr(workshop, "LARGEST", 1)
    for bound in ("TICK", "STUCK"):
        monkeypatch.setattr(workshop, bound, 60.0)
    monkeypatch.setattr(Pace, "is_slow", False)
    monkeypatch.setattr(Pace, "threads", lambda self, waiting: waiting)
    monkeypatch.setattr(Pace, "wanted", lambda self, idle, waiting: 100 if idle else 0)
    return Judged


def test_a_thread_that_is_not_needed_leaves_the_rest_to_others(
    judged: type[Judged], worker: Start
) -> None:
    for what in ("first", "second"):
        atomic_tasks.note_atomically.enqueue(what)
    running = worker(concurrency=1)
    until(lambda: JobResult.objects.count() == 1)
    running.stop()

    assert calls == ["first"]
    assert Job.objects.get().state == JobState.READY


def test_a_thread_more_goes_on_with_them(judged: type[Judged], worker: Start) -> None:
    judged.more = 1
    for what in ("first", "second"):
        atomic_tasks.note_atomically.enqueue(what)
    worker(concurrency=1)
    until(lambda: JobResult.objects.count() == 2)

    assert calls == ["first", "second"]


def test_no_more_are_woken_than_are_of_use(judged: type[Judged], worker: Start) -> None:
    for gate in ("first", "second", "third"):
        wait_at.enqueue(gate)
    running = worker(concurrency=3)
    until(lambda: gates["first"].entered.is_set())
    running.stopping.cancel()
    until(lambda: Job.objects.filter(state=JobState.READY).count() == 2)

    assert [name for name, gate in gates.items() if gate.entered.is_set()] == ["first"]


def test_what_jobs_have_waited_for_each_other_does_not_make_them_slow(
    judged: type[Judged], worker: Start
) -> None:
    atomic_tasks.take_a_while_atomically.enqueue(0.05)
    running = worker(concurrency=1)
    until(lambda: JobResult.objects.count() == 1)

    shift = running.service._shift
    assert shift is not None
    assert 0.05 / CROWD <= (shift._workshop.pace.seconds or 0) < 0.05


def test_of_short_jobs_too_a_thread_that_is_not_needed_leaves_the_rest(
    judged: type[Judged], worker: Start
) -> None:
    for what in ("first", "second"):
        note.enqueue(what)
    running = worker(concurrency=1)
    until(lambda: JobResult.objects.count() == 1)
    running.stop()

    assert calls == ["first"]
    assert Job.objects.get().state == JobState.READY


def test_of_jobs_that_are_not_short_none_is_judged(
    judged: type[Judged], worker: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pace, "is_slow", True)
    for what in ("first", "second"):
        note.enqueue(what)
    worker(concurrency=1)
    until(lambda: JobResult.objects.count() == 2)

    assert calls == ["first", "second"]
