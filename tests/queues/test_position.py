"""A worker that searches behind its last claim finds every job all the same.

The queue is a list here: what is in question is the rule by which a worker comes back to its head.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosting.queues.position import DEAR, INTERVAL, LONGEST_REST, REST, SHARE, Position
from hosting.queues.stores.values import Claim, Key

LIMIT = 3
QUEUES = ("a", "b")


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def claim_of(queue: str, key: Key) -> Claim:
    rest = ("tests.queues.tasks.add", "[]", "{}", "", "", 0, 0)
    return Claim(key[2], 1, queue, key, rest, False, None, lambda _: NotImplemented)


@dataclass
class Queue:
    """Jobs by queue and key; a search is as `Wanted.after` has it."""

    ready: set[tuple[Key, str]] = field(default_factory=set)
    held: list[tuple[Key, str]] = field(default_factory=list)

    def search(self, after: dict[str, Key], limit: int) -> list[Claim]:
        seen = [job for job in self.ready if job[1] not in after or job[0] > after[job[1]]]
        found = sorted(seen)[:limit]
        self.ready.difference_update(found)
        self.held += found
        return [claim_of(queue, key) for key, queue in found]


class Worker:
    """Searches a queue by the rules of `Position`."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.position = Position(self.clock)
        self.queue = Queue()
        self.keys = 0
        self.is_told_of_nothing = False

    def search(self, limit: int = LIMIT, takes: float = 0.0) -> list[Claim]:
        after = self.position.begin()
        found = self.queue.search(after, limit)
        self.clock.now += takes
        nothing_is_left = self.position.end(found, limit)
        if nothing_is_left and after:  # only the head shows that
            assert self.position.owed_in() is not None
        elif nothing_is_left:
            assert not self.queue.ready
            assert self.position.owed_in() is None
        return found

    def look(self, takes: float = 0.0) -> None:
        """Look whether anything is ready, as `Lookout` does."""
        after = self.position.behind()
        found = any(key > after.get(queue, key[:0]) for key, queue in self.queue.ready)
        self.clock.now += takes
        if not after:
            self.position.note_reading(takes)
        if found and not after:
            self.position.go_to_head()
        elif found:
            self.position.rewind()

    def job(self, place: int, queue: str) -> tuple[Key, str]:
        self.keys += 1
        return (0, float(place), UUID(int=self.keys)), queue

    def add(self, place: int, queue: str = "a") -> None:
        self.queue.ready.add(self.job(place, queue))


def places(claims: Iterable[Claim]) -> list[float]:
    return [each.key[1] for each in claims]


steps = st.one_of(
    # A job whose place is before that of others: of higher priority, or committed late.
    st.tuples(st.just("add"), st.integers(0, 20), st.sampled_from(QUEUES)),
    st.tuples(st.just("give back"), st.integers(0, 5)),
    st.tuples(st.just("search"), st.integers(1, LIMIT), st.sampled_from([0.0, 0.001, 0.05])),
    st.tuples(st.just("wait"), st.sampled_from([0.01, 0.2, 2.0])),
    st.just(("rewind",)),
    st.tuples(st.just("look"), st.sampled_from([0.0, 0.05])),
)


def do(worker: Worker, step: tuple[Any, ...]) -> None:
    match step:
        case "add", place, queue:
            worker.add(place, queue)
        case "give back", which if worker.queue.held:
            worker.queue.ready.add(worker.queue.held.pop(which % len(worker.queue.held)))
        case "search", limit, takes:
            worker.search(limit, takes)
        case "wait", seconds:
            worker.clock.now += seconds
        case ("rewind",):
            worker.position.rewind()
        case "look", takes:
            worker.look(takes)


@given(st.lists(steps, max_size=30), st.integers(0, 12))
def test_every_job_is_found_in_so_many_searches(program: list[Any], more: int) -> None:
    worker = Worker()
    for step in program:
        do(worker, step)
    for place in range(more):
        worker.add(place, QUEUES[place % 2])

    # One to come to an end, as many as there are full claims, and one that finds nothing. No time
    # passes meanwhile: the end of what lies behind the place is reason enough to go back. But if
    # the head is dear, that is left alone for a while.
    bound = len(worker.queue.ready) // LIMIT + 3
    searches, began = 0, worker.clock.now
    while worker.queue.ready:
        worker.search()
        searches += 1
        assert searches <= bound
        if (owed := worker.position.owed_in()) is not None:
            worker.clock.now += owed * 1.01
            worker.look()
    assert worker.clock.now - began <= REST * 0.051


@given(st.lists(steps, max_size=30))
def test_a_job_before_the_place_does_not_wait_for_the_end(program: list[Any]) -> None:
    """However much comes in behind the place, the head is searched in time."""
    worker = Worker()
    for step in program:
        do(worker, step)
    took = worker.clock.now
    worker.search(LIMIT)
    worker.queue.ready.add(((-1, 0.0, UUID(int=0)), "a"))  # before all others

    place, searches = 1000, 0
    while any(key[0] == -1 for key, _ in worker.queue.ready):
        for _ in range(2 * LIMIT):  # always more than a search takes
            place += 1
            worker.add(place)
        worker.search(LIMIT, takes=0.01)
        searches += 1
        assert searches <= (max(INTERVAL, SHARE * (took - 100.0)) + 0.01) / 0.01 + 2


def test_the_search_goes_on_behind_each_queue_s_last_claim() -> None:
    worker = Worker()
    for place, queue in enumerate("aababb"):
        worker.add(place, queue)

    assert worker.position.is_at_head
    assert places(worker.search()) == [0, 1, 2]
    assert not worker.position.is_at_head
    assert {queue: key[1] for queue, key in worker.position.begin().items()} == {"a": 1, "b": 2}


def test_too_little_from_a_place_sends_back_to_the_head_and_says_nothing() -> None:
    worker = Worker()
    for place in (5, 6, 7):
        worker.add(place)
    worker.search()
    worker.add(1)  # before the place

    worker.position.begin()
    assert worker.position.end([], LIMIT) is False
    assert worker.position.is_at_head
    assert places(worker.search()) == [1]
    worker.position.begin()
    assert worker.position.end([], LIMIT) is True


def test_the_head_is_searched_after_a_while() -> None:
    worker = Worker()
    for place in range(10, 40):
        worker.add(place)
    worker.search()
    worker.add(1)

    worker.clock.now += INTERVAL * 0.9
    assert places(worker.search()) == [13, 14, 15]
    worker.clock.now += INTERVAL * 0.2
    assert places(worker.search()) == [1, 16, 17]
    assert places(worker.search()) == [18, 19, 20]


def test_a_head_that_takes_long_is_searched_less_often() -> None:
    worker = Worker()
    for place in range(10, 60):
        worker.add(place)
    worker.search(takes=0.5)
    worker.add(1)

    worker.clock.now += SHARE * 0.5 - 0.1
    assert 1 not in places(worker.search(takes=3.0))  # not from the head: that says nothing
    worker.clock.now += 0.1
    assert 1 in places(worker.search())


def test_a_reason_to_go_back_is_enough() -> None:
    worker = Worker()
    for place in range(10, 40):
        worker.add(place)
    worker.search()
    worker.add(1)
    worker.position.rewind()

    assert places(worker.search()) == [1, 13, 14]


def dear(*places_: int) -> Worker:
    """A worker for which the head has just been dear to read, with a job claimed at 10."""
    worker = Worker()
    worker.add(10)
    worker.search(takes=2 * DEAR)
    for place in places_:
        worker.add(place)
    return worker


def test_what_is_added_behind_the_place_does_not_wait_for_a_dear_head() -> None:
    worker = dear(11)
    worker.position.rewind()

    assert places(worker.search()) == [11]


def test_a_dear_head_is_read_after_a_rest() -> None:
    worker = dear(5)
    worker.position.rewind()
    assert worker.search() == []
    assert worker.position.owed_in() == pytest.approx(REST * 2 * DEAR)

    worker.look()  # behind the place
    assert worker.search() == []
    worker.clock.now += REST * 2 * DEAR * 1.01
    assert worker.position.owed_in() == 0.0
    worker.look()
    assert places(worker.search()) == [5]
    assert worker.search() == []
    assert worker.position.owed_in() is None


def test_a_head_that_is_dear_no_more_is_read_for_every_reason() -> None:
    worker = dear()
    worker.clock.now += REST * 2 * DEAR * 1.01
    worker.look(takes=DEAR / 2)
    worker.add(5)
    worker.position.rewind()

    assert places(worker.search()) == [5]


def test_no_wake_up_keeps_from_a_head_at_which_something_is() -> None:
    worker = dear(5)
    worker.clock.now += REST * 2 * DEAR * 1.01
    worker.look(takes=2 * DEAR)  # it is there
    worker.position.rewind()  # for something that was added meanwhile

    assert places(worker.search()) == [5]


def test_a_reading_that_took_very_long_is_not_held_against_the_head() -> None:
    worker = dear()
    worker.clock.now += LONGEST_REST
    worker.look(takes=100.0)
    worker.add(5)
    worker.position.rewind()
    assert worker.search() == []

    owed = worker.position.owed_in()
    assert owed == pytest.approx(LONGEST_REST)
    worker.clock.now += LONGEST_REST * 1.01
    worker.look()
    assert places(worker.search()) == [5]


def test_a_full_search_leaves_the_places_of_other_queues() -> None:
    worker = Worker()
    for place, queue in enumerate("bbb"):
        worker.add(place, queue)
    worker.search()
    for place in range(10, 20):
        worker.add(place)
    worker.position.rewind()
    worker.search()

    assert {queue: key[1] for queue, key in worker.position.begin().items()} == {"a": 12, "b": 2}
