"""When a worker searches, and what else it looks after; over a real store, with a clock of its own.

The store goes by the database's clock, which stands still here for all that matters: what is due
in an hour becomes due when a test says so.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from hosting.queues.lookout import BUSY, FIRST, TOLD, Lookout
from hosting.queues.position import Position
from hosting.queues.stores.base import Store
from hosting.queues.stores.values import LimitRule
from tests.queues.stores.steps import (
    BLOCKED,
    HOUR,
    READY,
    add,
    add_some,
    claim,
    claim_one,
    let_pass,
    make_due,
    one_at_a_time,
    settle,
    state_of,
    states,
)

POLL = 2.0
pytestmark = pytest.mark.django_db(transaction=True)


class Watch:
    """A lookout with a clock that is moved by hand."""

    def __init__(self, store: Store, queues: Any = None) -> None:
        self.now = 1000.0
        self.store = store
        self.position = Position(self.clock)
        self.lookout = Lookout(
            store, "default", queues, POLL, self.position, self.listen, clock=self.clock
        )
        self.is_asleep: bool | None = None

    def listen(self, is_asleep: bool) -> None:
        self.is_asleep = is_asleep

    def clock(self) -> float:
        return self.now

    def end_of_search(self) -> None:
        """Search until nothing is left, and look."""
        while self.lookout.has_more:
            self.position.rewind()
            self.position.begin()
            found = claim(self.store, limit=100)
            self.lookout.found(self.position.end(found, 100))
        self.lookout.look()

    def sleep(self) -> float:
        """Let the time pass until there is something to do, and do it; how long it was."""
        pause = self.lookout.pause()
        self.now += pause
        self.lookout.look()
        return pause


@pytest.fixture
def watch(store: Store) -> Watch:
    return Watch(store)


def test_it_begins_with_a_search(watch: Watch) -> None:
    assert watch.lookout.has_more
    assert watch.lookout.pause() == 0


def test_looks_come_less_and_less_often_while_nothing_comes(watch: Watch) -> None:
    watch.end_of_search()

    pauses = [watch.sleep() for _ in range(10)]
    assert pauses[:3] == pytest.approx([FIRST, 2 * FIRST, 4 * FIRST])
    assert pauses[-2:] == pytest.approx([POLL, POLL])
    assert not watch.lookout.has_more


def test_who_is_told_of_new_jobs_looks_less_often(watch: Watch) -> None:
    watch.lookout.is_told = True
    watch.end_of_search()

    assert [watch.sleep() for _ in range(14)][-1] == pytest.approx(POLL * TOLD)


def test_a_look_finds_what_nobody_told_of(watch: Watch) -> None:
    watch.end_of_search()
    watch.sleep()
    job = add(watch.store)

    watch.sleep()
    assert watch.lookout.has_more
    assert watch.position.is_at_head
    watch.end_of_search()
    assert state_of(job) == "running"
    assert not watch.lookout.has_more
    assert watch.sleep() == pytest.approx(FIRST)


def test_a_ring_is_heard_on_the_worker_s_own_thread(watch: Watch) -> None:
    watch.end_of_search()
    watch.lookout.ring()
    assert not watch.lookout.has_more

    watch.lookout.hear()
    assert watch.lookout.has_more
    watch.end_of_search()
    watch.lookout.hear()
    assert not watch.lookout.has_more


def test_a_search_behind_a_place_says_nothing(watch: Watch) -> None:
    watch.lookout.found(False)

    assert watch.lookout.has_more


def test_it_wakes_when_something_is_due_between_looks(watch: Watch) -> None:
    watch.end_of_search()
    for _ in range(10):
        watch.sleep()
    job = add(watch.store, run_after=timezone.now() + HOUR / 3600)
    watch.sleep()

    assert watch.lookout.pause() < 1.01 < POLL
    make_due(job)
    watch.sleep()
    assert state_of(job) == READY
    assert watch.lookout.has_more


def test_what_is_overdue_goes_on_at_once(watch: Watch) -> None:
    job = add(watch.store, run_after=timezone.now() + HOUR)
    make_due(job)
    watch.end_of_search()

    assert watch.sleep() < 0.01
    assert state_of(job) == READY


def test_time_and_limits_are_looked_after_while_there_is_always_something_ready(
    watch: Watch,
) -> None:
    waiting = add(watch.store, run_after=timezone.now() + HOUR)
    watch.lookout.look()
    blocked = add(watch.store, limit=one_at_a_time())
    make_due(waiting)

    assert watch.sleep() == pytest.approx(BUSY)
    assert state_of(blocked) == READY
    watch.sleep()
    assert state_of(waiting) == READY


def test_what_is_held_up_goes_on_when_there_is_room(watch: Watch) -> None:
    first, second = add_some(watch.store, 2, limit=one_at_a_time())
    watch.end_of_search()
    assert states([first, second]) == [READY, BLOCKED]
    assert watch.lookout.has_more
    claimed = claim_one(watch.store)
    watch.lookout.found(True)
    watch.sleep()
    assert state_of(second) == BLOCKED

    settle(watch.store, claimed)
    watch.sleep()
    assert state_of(second) == READY
    assert watch.lookout.has_more


def test_a_rate_says_when_to_come_back(watch: Watch) -> None:
    add_some(watch.store, 2, limit=LimitRule(key="k", count=1, period=0.5))
    watch.end_of_search()
    claim_one(watch.store)
    watch.end_of_search()

    for _ in range(20):  # never later than the rate allows
        if watch.lookout.has_more:
            break
        assert watch.lookout.pause() <= 0.5
        let_pass(0.1)
        watch.sleep()
    assert claim_one(watch.store)


def test_only_who_sleeps_asks_to_be_told(watch: Watch) -> None:
    watch.lookout.is_told = True
    watch.lookout.look()
    assert not watch.is_asleep

    watch.end_of_search()
    assert watch.is_asleep
    add(watch.store)
    watch.sleep()
    assert watch.lookout.has_more
    assert not watch.is_asleep


def test_a_hint_is_of_use_to_who_does_not_search_anyway(watch: Watch) -> None:
    assert watch.lookout.has_more
    assert not watch.lookout.hint()
    watch.end_of_search()

    add(watch.store)
    assert watch.lookout.hint()
    watch.lookout.hear()
    watch.lookout.look()
    assert watch.lookout.has_more


def test_what_a_hint_was_given_of_while_it_searched_is_found_when_it_stops(watch: Watch) -> None:
    watch.lookout.hear()
    claim(watch.store, limit=100)
    add(watch.store)
    assert not watch.lookout.hint()  # the search has passed it, and nobody is woken

    watch.lookout.found(True)
    watch.lookout.look()
    assert watch.lookout.has_more


def test_other_queues_are_none_of_its_business(store: Store) -> None:
    watch = Watch(store, queues=["mail"])
    watch.lookout.found(True)
    add(store)
    watch.lookout.look()
    assert not watch.lookout.has_more

    add(store, queue_name="mail")
    watch.sleep()
    assert watch.lookout.has_more
