"""The in-memory queue, and the service that drains it."""

from __future__ import annotations

import asyncio
import gc
import itertools
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import hosting
from hosting.background import BackgroundTaskQueue, QueuedHostedService, background_tasks
from hosting.cancellation import CancellationToken
from hosting.exceptions import OperationCancelled, QueueFull
from hosting.host import Host
from hosting.services import ServiceState
from tests.host.helpers import (
    ASYNC,
    FLAVOURS,
    PATIENCE,
    PLAIN,
    Journal,
    Runner,
    a_host,
    assert_no_threads_left,
    on_threads,
    run,
    status,
    until,
)

NEVER = CancellationToken()


@pytest.fixture
def journal() -> Iterator[Journal]:
    yield Journal()
    assert_no_threads_left()


@pytest.fixture
def queue() -> BackgroundTaskQueue:
    return BackgroundTaskQueue(capacity=10)


def an_item(number: int = 0) -> Callable[[CancellationToken], int]:
    """Each call gives an item of its own."""
    return lambda token: number


def put(queue: BackgroundTaskQueue, item: Any, timeout: float | None, flavour: str) -> None:
    if flavour == PLAIN:
        queue.enqueue(item, timeout)
    else:
        run(queue.aenqueue(item, timeout))


def take(queue: BackgroundTaskQueue, token: CancellationToken, flavour: str) -> Any:
    return queue.dequeue(token) if flavour == PLAIN else run(queue.adequeue(token))


def waiting_in(queue: BackgroundTaskQueue) -> set[CancellationToken]:
    """Those who wait for an item or for room."""
    return queue._waiting_for_items | queue._waiting_for_room


# The queue


def test_the_default_queue_is_public() -> None:
    assert hosting.background_tasks is background_tasks
    assert isinstance(background_tasks, BackgroundTaskQueue)
    assert background_tasks.capacity == 100


@pytest.mark.parametrize("capacity", [0, -1, 1.5, True, "5", None])
def test_a_capacity_is_a_whole_number_of_1_or_more(capacity: Any) -> None:
    with pytest.raises(ValueError, match=r"capacity is .*, allowed: a whole number, 1 or more"):
        BackgroundTaskQueue(capacity)


@pytest.mark.parametrize("put_as", FLAVOURS)
@pytest.mark.parametrize("taken_as", FLAVOURS)
def test_first_in_first_out(queue: BackgroundTaskQueue, put_as: str, taken_as: str) -> None:
    items = [an_item(n) for n in range(5)]
    for item in items:
        put(queue, item, None, put_as)
    assert len(queue) == 5
    assert [take(queue, NEVER, taken_as) for _ in items] == items
    assert len(queue) == 0


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("item", [None, 5, "work", [], object()])
def test_what_cannot_be_called_is_no_work_item(
    queue: BackgroundTaskQueue, item: Any, flavour: str
) -> None:
    with pytest.raises(TypeError, match="callable"):
        put(queue, item, None, flavour)
    assert len(queue) == 0


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("timeout", [0, -1, 0.001])
def test_a_full_queue_is_full_at_the_timeout(flavour: str, timeout: float) -> None:
    queue = BackgroundTaskQueue(capacity=1)
    first = an_item()
    queue.enqueue(first)
    with pytest.raises(QueueFull, match="1 work items"):
        put(queue, an_item(), timeout, flavour)
    assert queue.poll() is first
    assert queue.poll() is None
    assert not waiting_in(queue)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_full_queue_makes_producers_wait_for_room(flavour: str) -> None:
    queue = BackgroundTaskQueue(capacity=1)
    first, second = an_item(), an_item()
    queue.enqueue(first)
    waiting = Runner(lambda: put(queue, second, None, flavour))
    until(lambda: waiting_in(queue))
    assert len(queue) == 1
    assert queue.dequeue(NEVER) is first
    waiting.result()
    assert queue.dequeue(NEVER) is second


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_an_empty_queue_makes_consumers_wait_for_an_item(
    queue: BackgroundTaskQueue, flavour: str
) -> None:
    waiting = Runner(lambda: take(queue, NEVER, flavour))
    until(lambda: waiting_in(queue))
    item = an_item()
    queue.enqueue(item)
    assert waiting.result() is item


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_consumer_stops_waiting_when_it_is_cancelled(
    queue: BackgroundTaskQueue, flavour: str
) -> None:
    token = CancellationToken()
    waiting = Runner(lambda: take(queue, token, flavour))
    until(lambda: waiting_in(queue))
    token.cancel()
    with pytest.raises(OperationCancelled):
        waiting.result()
    item = an_item()
    queue.enqueue(item)
    assert queue.poll() is item, "the cancelled consumer took it with it"
    with pytest.raises(OperationCancelled):
        take(queue, token, flavour)


def test_a_cancelled_coroutine_takes_nothing_and_leaves_nothing(
    queue: BackgroundTaskQueue,
) -> None:
    async def scenario() -> None:
        gone = asyncio.create_task(queue.adequeue(NEVER))
        await asyncio.sleep(0)
        stays = asyncio.create_task(queue.adequeue(NEVER))
        await asyncio.sleep(0)
        item = an_item()
        queue.enqueue(item)
        gone.cancel()
        assert await stays is item
        with pytest.raises(asyncio.CancelledError):
            await gone

    run(scenario())
    assert not waiting_in(queue)


def test_a_waiter_collected_in_the_midst_of_another_call_does_not_lock_the_queue(
    queue: BackgroundTaskQueue,
) -> None:
    """A loop may be closed while one waits on it; the collector may run under the queue's lock."""

    loop = asyncio.new_event_loop()
    waiting = loop.create_task(queue.adequeue(NEVER))
    loop.run_until_complete(asyncio.sleep(0))
    waiting._log_destroy_pending = False
    loop.close()

    def collect_while_locked() -> int:
        with queue._lock:
            return gc.collect()

    gc.disable()
    try:
        del waiting, loop
        queue.enqueue(an_item())  # forgets who waits, so that it can be collected
        Runner(collect_while_locked).result()
    finally:
        gc.enable()
    assert not waiting_in(queue)


def test_who_finds_an_item_or_room_makes_nothing_to_wait_on(
    queue: BackgroundTaskQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a token costs more than all the rest."""
    made: list[CancellationToken] = []

    def counted(*linked_to: CancellationToken) -> CancellationToken:
        made.append(CancellationToken(*linked_to))
        return made[-1]

    monkeypatch.setattr("hosting.background.queue.CancellationToken", counted)
    for flavour in FLAVOURS:
        put(queue, an_item(), None, flavour)
        put(queue, an_item(), 1.0, flavour)
        take(queue, NEVER, flavour)
        assert queue.poll()
    assert made == []


def at_the_last_moment(monkeypatch: pytest.MonkeyPatch, happen: Callable[[], object]) -> None:
    """Have it happen once, to one who has looked in vain and is about to wait."""
    happenings = [happen]

    def late(*linked_to: CancellationToken) -> CancellationToken:
        while happenings:
            happenings.pop()()
        return CancellationToken(*linked_to)

    monkeypatch.setattr("hosting.background.queue.CancellationToken", late)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_an_item_that_comes_just_before_the_wait_is_not_missed(
    queue: BackgroundTaskQueue, monkeypatch: pytest.MonkeyPatch, flavour: str
) -> None:
    item = an_item()
    at_the_last_moment(monkeypatch, lambda: queue.enqueue(item))
    assert Runner(lambda: take(queue, NEVER, flavour)).result() is item
    assert not waiting_in(queue)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_room_that_comes_just_before_the_wait_is_not_missed(
    monkeypatch: pytest.MonkeyPatch, flavour: str
) -> None:
    queue = BackgroundTaskQueue(capacity=1)
    first, second = an_item(), an_item()
    queue.enqueue(first)
    at_the_last_moment(monkeypatch, queue.poll)
    Runner(lambda: put(queue, second, None, flavour)).result()
    assert queue.poll() is second
    assert not waiting_in(queue)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_cancellation_just_before_the_wait_is_not_missed(
    queue: BackgroundTaskQueue, monkeypatch: pytest.MonkeyPatch, flavour: str
) -> None:
    token = CancellationToken()
    at_the_last_moment(monkeypatch, token.cancel)
    with pytest.raises(OperationCancelled):
        Runner(lambda: take(queue, token, flavour)).result()


class LongLook(deque[Any]):
    """Others get their turn between a look at its length and what is done about it."""

    def __len__(self) -> int:
        found = super().__len__()
        threading.Event().wait(0.002)
        return found


def test_of_many_who_see_the_last_place_one_gets_it() -> None:
    queue = BackgroundTaskQueue(capacity=1)
    queue._items = LongLook()
    adding = [partial(queue.enqueue, an_item(), 0) for _ in range(5)]
    errors = [runner.error for runner in on_threads(*adding)]
    assert errors.count(None) == len(queue) == 1
    assert [type(error) for error in errors if error] == [QueueFull] * 4


def test_a_queue_knows_whether_somebody_drains_it(queue: BackgroundTaskQueue) -> None:
    assert not queue.has_consumer
    with queue.consumer():
        with queue.consumer():
            pass
        assert queue.has_consumer
    assert not queue.has_consumer


def add_all(queue: BackgroundTaskQueue, items: list[Any], flavour: str) -> None:
    async def add_all_async() -> None:
        for item in items:
            await queue.aenqueue(item)

    if flavour == ASYNC:
        run(add_all_async())
        return
    for item in items:
        queue.enqueue(item)


def produce(queue: BackgroundTaskQueue, name: int, flavour: str, count: int) -> None:
    """Put as many items, which know who put them and when."""
    add_all(queue, [partial(divmod, name, number + 1) for number in range(count)], flavour)


def consume(
    queue: BackgroundTaskQueue, flavour: str, done: CancellationToken
) -> list[tuple[int, int]]:
    """Take items until told that all is done; gives what the items know."""
    taken: list[Any] = []

    async def consume_async() -> None:
        while True:
            taken.append(await queue.adequeue(done))

    with suppress(OperationCancelled):
        if flavour == ASYNC:
            run(consume_async())
        while True:
            taken.append(queue.dequeue(done))
    return [item.args for item in taken]


@settings(max_examples=15)
@given(
    capacity=st.integers(1, 4),
    producers=st.lists(st.tuples(st.sampled_from(FLAVOURS), st.integers(0, 15)), max_size=4),
    consumers=st.lists(st.sampled_from(FLAVOURS), min_size=1, max_size=4),
)
def test_nothing_is_lost_or_doubled_among_many(
    capacity: int, producers: list[tuple[str, int]], consumers: list[str]
) -> None:
    """Each consumer sees what one producer put in the order in which it was put."""
    queue, done = BackgroundTaskQueue(capacity), CancellationToken()
    consuming = [Runner(partial(consume, queue, flavour, done)) for flavour in consumers]
    for runner in on_threads(*(partial(produce, queue, n, *p) for n, p in enumerate(producers))):
        runner.result()
    until(lambda: len(queue) == 0)
    done.cancel()
    taken = [runner.result() for runner in consuming]
    assert sorted(item for items in taken for item in items) == [
        (name, number + 1) for name, (_, count) in enumerate(producers) for number in range(count)
    ]
    for items, name in itertools.product(taken, range(len(producers))):
        own = [number for who, number in items if who == name]
        assert own == sorted(own)


class Queues(RuleBasedStateMachine):
    """Any interleaving of calls and of those who wait, against a list and a line of waiters."""

    @initialize(capacity=st.integers(1, 3))
    def begin(self, capacity: int) -> None:
        self.queue = BackgroundTaskQueue(capacity)
        self.loop = asyncio.new_event_loop()
        self.model: deque[Any] = deque()
        self.putting: dict[Any, tuple[asyncio.Task[Any], CancellationToken]] = {}
        self.taking: list[tuple[asyncio.Task[Any], CancellationToken]] = []

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            tasks = asyncio.all_tasks(self.loop)
            for task in tasks:
                task.cancel()
            if tasks:
                self.loop.run_until_complete(asyncio.wait(tasks))
            self.loop.close()

    @rule()
    def put(self) -> None:
        item = an_item()
        if len(self.model) < self.queue.capacity:
            self.queue.enqueue(item, timeout=0)
            self.model.append(item)
        else:
            with pytest.raises(QueueFull):
                self.queue.enqueue(item, timeout=0)
        self._settle()

    @rule()
    def put_by_coroutine(self) -> None:
        item = an_item()
        task = self.loop.create_task(self.queue.aenqueue(item))
        self.putting[item] = (task, NEVER)
        self._settle()

    @rule()
    def poll(self) -> None:
        assert self.queue.poll() is (self.model.popleft() if self.model else None)
        self._settle()

    @rule()
    def take_by_coroutine(self) -> None:
        token = CancellationToken()
        task = self.loop.create_task(self.queue.adequeue(token))
        self.taking.append((task, token))
        self._settle()

    @precondition(lambda self: self.taking)
    @rule(data=st.data(), by_token=st.booleans())
    def cancel_one_who_waits(self, data: Any, by_token: bool) -> None:
        task, token = data.draw(st.sampled_from(self.taking))
        self.taking.remove((task, token))
        token.cancel() if by_token else task.cancel()
        with pytest.raises((OperationCancelled, asyncio.CancelledError)):
            self.loop.run_until_complete(task)
        self._settle()

    @precondition(lambda self: self.putting)
    @rule(data=st.data())
    def cancel_one_who_puts(self, data: Any) -> None:
        item = data.draw(st.sampled_from(list(self.putting)))
        task, _ = self.putting.pop(item)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            self.loop.run_until_complete(task)
        self._settle()

    def _settle(self) -> None:
        """Let the loop come to rest, and take over what those who waited have done."""
        for _ in range(6 * (2 + len(self.putting) + len(self.taking))):
            self.loop.run_until_complete(asyncio.sleep(0))
        self.model.extend(item for item, (task, _) in self.putting.items() if task.done())
        self.putting = {i: found for i, found in self.putting.items() if not found[0].done()}
        taken = [task.result() for task, _ in self.taking if task.done()]
        self.taking = [found for found in self.taking if not found[0].done()]
        for item in taken:
            self.model.remove(item)

    @invariant()
    def the_queue_holds_what_the_model_holds(self) -> None:
        if not hasattr(self, "queue"):
            return
        assert sorted(map(id, self.queue._items)) == sorted(map(id, self.model))
        assert len(self.queue) <= self.queue.capacity
        self.model = deque(self.queue._items)

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        if not hasattr(self, "queue"):
            return
        assert not (self.taking and self.model), "a consumer waits beside an item"
        room = len(self.model) < self.queue.capacity
        assert not (self.putting and room), "a producer waits beside room"


TestQueues = Queues.TestCase


# The service


def a_drain(queue: BackgroundTaskQueue, concurrency: int = 1, **settings: Any) -> Host:
    return a_host(QueuedHostedService(concurrency, queue), **settings)


def told(host: Host) -> dict[str, Any]:
    return dict(status(host, "QueuedHostedService").facts)


@pytest.mark.parametrize("concurrency", [1, 3])
def test_it_runs_what_is_enqueued(
    queue: BackgroundTaskQueue, journal: Journal, concurrency: int
) -> None:
    """Plain callables, coroutine functions, and what turns out to give a coroutine."""

    async def coroutine(token: CancellationToken) -> None:
        await asyncio.sleep(0)
        journal.note("done")

    with a_drain(queue, concurrency) as host:
        queue.enqueue(lambda token: journal.note("done"))
        queue.enqueue(coroutine)
        queue.enqueue(lambda token: coroutine(token))
        queue.enqueue(partial(coroutine))
        journal.wait_for("done", times=4)
        until(lambda: told(host)["executed"] == 4)
        assert told(host) == {"waiting": 0, "running": 0, "executed": 4, "failed": 0}


def test_one_at_a_time_in_order_by_default(queue: BackgroundTaskQueue, journal: Journal) -> None:
    alone = threading.Lock()

    def work(number: int, token: CancellationToken) -> None:
        assert alone.acquire(blocking=False)
        journal.note(f"item {number}")
        alone.release()

    with a_drain(queue) as host:
        for number in range(10):
            queue.enqueue(partial(work, number))
        journal.wait_for("item 9")
    assert journal.lines == [f"item {number}" for number in range(10)]
    assert told(host)["failed"] == 0


def test_as_many_at_a_time_as_it_is_told_and_no_more(
    queue: BackgroundTaskQueue, journal: Journal
) -> None:
    release = CancellationToken()

    def work(token: CancellationToken) -> None:
        journal.note("begun")
        release.wait()

    with a_drain(queue, concurrency=3, shutdown_timeout=PATIENCE) as host:
        for _ in range(5):
            queue.enqueue(work)
        journal.wait_for("begun", times=3)
        assert told(host) == {"waiting": 2, "running": 3, "executed": 0, "failed": 0}
        release.cancel()
    assert journal.count("begun") == 5


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("concurrency", [1, 2])
@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), OperationCancelled("of it")])
def test_an_item_that_raises_is_logged_and_the_loop_goes_on(
    queue: BackgroundTaskQueue,
    journal: Journal,
    caplog: pytest.LogCaptureFixture,
    flavour: str,
    concurrency: int,
    error: BaseException,
) -> None:
    def plain(token: CancellationToken) -> None:
        raise error

    async def coroutine(token: CancellationToken) -> None:
        raise error

    caplog.set_level("INFO")
    with a_drain(queue, concurrency) as host:
        for _ in range(4):
            queue.enqueue(plain if flavour == PLAIN else coroutine)
        for _ in range(2):
            queue.enqueue(lambda token: journal.note("after"))
        journal.wait_for("after", times=2)
        assert status(host, "QueuedHostedService").restarts == 0
        until(lambda: told(host)["executed"] == 6)
        assert told(host)["failed"] == (0 if isinstance(error, OperationCancelled) else 4)
    lines = [found.getMessage() for found in caplog.records if plain.__name__ in found.getMessage()]
    assert len(lines) == (4 if flavour == PLAIN else 0)


def test_the_work_items_are_named_in_the_log(
    queue: BackgroundTaskQueue, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    def send_the_invoice(token: CancellationToken) -> None:
        raise ValueError("no such customer")

    with a_drain(queue):
        queue.enqueue(send_the_invoice)
        queue.enqueue(lambda token: journal.note("after"))
        journal.wait_for("after")
    [record] = [found for found in caplog.records if found.levelname == "ERROR"]
    assert "send_the_invoice" in record.getMessage()
    assert record.exc_info


@pytest.mark.parametrize("concurrency", [1, 3])
def test_the_queue_has_a_consumer_while_the_service_runs(
    queue: BackgroundTaskQueue, concurrency: int
) -> None:
    with a_drain(queue, concurrency):
        until(lambda: queue.has_consumer)
    assert not queue.has_consumer


def test_a_stop_lets_the_item_in_hand_finish_and_drains_the_queue(
    queue: BackgroundTaskQueue, journal: Journal
) -> None:
    release = CancellationToken()

    def slow(token: CancellationToken) -> None:
        journal.note("begun")
        release.wait()
        assert not token.is_cancelled
        journal.note("finished")

    host = a_drain(queue, shutdown_timeout=PATIENCE)
    host.start()
    queue.enqueue(slow)
    journal.wait_for("begun")
    for number in range(3):
        queue.enqueue(lambda token, n=number: journal.note(f"drained {n}"))
    stopping = Runner(host.stop)
    assert host.lifetime.stopping.wait(PATIENCE)
    release.cancel()
    stopping.result()
    assert journal.lines == ["begun", "finished", "drained 0", "drained 1", "drained 2"]
    assert len(queue) == 0


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("concurrency", [1, 2])
def test_near_the_deadline_items_are_told_to_end_and_the_rest_is_counted(
    queue: BackgroundTaskQueue,
    journal: Journal,
    caplog: pytest.LogCaptureFixture,
    flavour: str,
    concurrency: int,
) -> None:
    def plain(token: CancellationToken) -> None:
        journal.note("begun")
        token.wait()

    async def coroutine(token: CancellationToken) -> None:
        journal.note("begun")
        await token.wait_async()

    for _ in range(concurrency + 5):
        queue.enqueue(plain if flavour == PLAIN else coroutine)
    # They get the last fifth of it, which has to be enough on a busy machine.
    host = a_drain(queue, concurrency, shutdown_timeout=4.0)
    host.start()
    journal.wait_for("begun", times=concurrency)
    host.stop()
    assert len(queue) == 5
    [line] = [found.getMessage() for found in caplog.records if "left" in found.getMessage()]
    assert "5 work items left" in line
    assert "not durable" in line


def test_what_is_left_is_counted_though_an_item_hangs(
    queue: BackgroundTaskQueue, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever reads the log learns what was lost, most of all when something went wrong."""
    release = CancellationToken()

    def deaf(token: CancellationToken) -> None:
        journal.note("begun")
        release.wait()

    for _ in range(3):
        queue.enqueue(deaf)
    host = a_drain(queue, shutdown_timeout=0.05)
    host.start()
    journal.wait_for("begun")
    try:
        with pytest.raises(ExceptionGroup):
            host.stop()
        assert "2 work items left" in caplog.text
    finally:
        release.cancel()


def test_a_stop_that_comes_before_execute_is_not_forgotten(
    queue: BackgroundTaskQueue, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    """Lifecycle 7: a stop right after the start may outrun the thread of `execute`."""
    service = QueuedHostedService(queue=queue)
    for _ in range(3):
        queue.enqueue(lambda token: journal.note("ran"))
    over = CancellationToken()
    over.cancel()
    service.stop(over)
    service.execute(over)
    assert journal.count("ran") == 0
    assert "3 work items left" in caplog.text


def test_nothing_is_reported_when_nothing_is_left(
    queue: BackgroundTaskQueue, caplog: pytest.LogCaptureFixture
) -> None:
    with a_drain(queue):
        pass
    assert "left" not in caplog.text


def test_a_queue_may_be_given_by_its_dotted_path() -> None:
    service = QueuedHostedService(queue="hosting.background_tasks")
    assert service.queue is background_tasks
    assert QueuedHostedService().queue is background_tasks


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"concurrency": 0}, "concurrency is 0, allowed: a whole number, 1 or more"),
        ({"concurrency": True}, "concurrency is True"),
        ({"concurrency": "2"}, "concurrency is '2'"),
        ({"queue": "nowhere.queue"}, "queue is 'nowhere.queue', which cannot be imported"),
        ({"queue": "hosting.scope"}, "allowed: a BackgroundTaskQueue or the dotted path of one"),
        ({"queue": 5}, "queue is 5, allowed"),
    ],
)
def test_checks_and_constructor_refuse_the_same_options(
    options: dict[str, Any], words: str
) -> None:
    [found] = QueuedHostedService.check_options(options)
    assert words in found
    with pytest.raises(ValueError, match=r"allowed|cannot be imported") as caught:
        QueuedHostedService(**options)
    assert str(caught.value) == found


@pytest.mark.parametrize("concurrency", [1, 2])
def test_an_item_may_enqueue_the_next_one(
    queue: BackgroundTaskQueue, journal: Journal, concurrency: int
) -> None:
    def again(left: int, token: CancellationToken) -> None:
        journal.note("ran")
        if left:
            queue.enqueue(partial(again, left - 1), timeout=0)

    with a_drain(queue, concurrency) as host:
        queue.enqueue(partial(again, 5))
        journal.wait_for("ran", times=6)
        assert status(host, "QueuedHostedService").state is ServiceState.RUNNING


@settings(max_examples=10)
@given(
    capacity=st.integers(1, 5),
    concurrency=st.integers(1, 4),
    producers=st.lists(
        st.tuples(
            st.sampled_from(FLAVOURS), st.lists(st.sampled_from(["plain", "coroutine", "fails"]))
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_each_item_is_run_once_and_counted_whoever_adds_it(
    capacity: int, concurrency: int, producers: list[tuple[str, list[str]]]
) -> None:
    """Producers on threads and on loops; items that are plain, coroutine functions, or raise."""
    queue = BackgroundTaskQueue(capacity)
    ran: list[tuple[int, int]] = []  # appending takes no lock

    def plain(who: int, number: int, token: CancellationToken) -> None:
        ran.append((who, number))

    async def coroutine(who: int, number: int, token: CancellationToken) -> None:
        await asyncio.sleep(0)
        ran.append((who, number))

    def fails(who: int, number: int, token: CancellationToken) -> None:
        ran.append((who, number))
        raise OSError("no")

    work = {"plain": plain, "coroutine": coroutine, "fails": fails}

    adding = [
        partial(add_all, queue, [partial(work[kind], who, n) for n, kind in enumerate(kinds)], how)
        for who, (how, kinds) in enumerate(producers)
    ]
    every = [(who, n) for who, (_, kinds) in enumerate(producers) for n in range(len(kinds))]
    with a_drain(queue, concurrency, shutdown_timeout=PATIENCE) as host:
        for runner in on_threads(*adding):
            runner.result()
        until(lambda: told(host)["executed"] == len(every))
        facts = told(host)
    assert sorted(ran) == every
    assert facts["waiting"] == facts["running"] == 0
    assert facts["failed"] == sum(kinds.count("fails") for _, kinds in producers)
    if concurrency == 1:  # in the order of each producer
        assert sorted(ran, key=lambda item: item[0]) == every


@pytest.mark.parametrize("concurrency", [1, 3])
def test_nothing_is_lost_under_load(concurrency: int) -> None:
    """Threads change at every turn, and there is next to no room."""
    count, producers = 500, [PLAIN, PLAIN, ASYNC]
    queue = BackgroundTaskQueue(capacity=2)
    ran: list[tuple[int, int]] = []

    def work(who: int, number: int, token: CancellationToken) -> None:
        ran.append((who, number))

    adding = [
        partial(add_all, queue, [partial(work, who, n) for n in range(count)], how)
        for who, how in enumerate(producers)
    ]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with a_drain(queue, concurrency, shutdown_timeout=PATIENCE):
            for runner in on_threads(*adding):
                runner.result()
            until(lambda: len(ran) == count * len(producers))
    finally:
        sys.setswitchinterval(before)
    assert sorted(ran) == list(itertools.product(range(len(producers)), range(count)))
    assert not waiting_in(queue)
