"""Whoever waits too long for its database is hung up, and nobody else."""

import threading
from dataclasses import dataclass, field
from typing import Any

from hosting.queues.stores.deadline import deadline
from tests.host.helpers import PATIENCE, on_threads

LONG, SHORT = 3600.0, 0.02


@dataclass
class Wrapper:
    """A connection as Django has it, and whether it was hung up."""

    connection: Any = None
    hung_up: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.connection = self

    def within(self, seconds: float) -> deadline:
        return deadline(self, seconds, lambda driver: driver.hung_up.set())


def test_who_waits_too_long_is_hung_up() -> None:
    wrapper = Wrapper()
    with wrapper.within(SHORT):
        assert wrapper.hung_up.wait(PATIENCE)


def test_each_limit_of_a_thread_is_watched_and_only_in_its_block() -> None:
    done, last = Wrapper(), Wrapper()
    with done.within(SHORT):
        pass
    for seconds in (LONG, SHORT, LONG):  # whether it rings sooner or later than the one before
        with done.within(seconds):
            pass
    with last.within(SHORT):
        assert last.hung_up.wait(PATIENCE)
    with last.within(2 * SHORT):
        last.hung_up.clear()
        assert last.hung_up.wait(PATIENCE)
    assert not done.hung_up.is_set()


def test_the_outer_limit_holds_within_and_after_an_inner_one() -> None:
    for leaves_before in (True, False):
        wrapper, other = Wrapper(), Wrapper()
        with wrapper.within(SHORT):
            with wrapper.within(LONG), other.within(0.0) if leaves_before else wrapper.within(LONG):
                if not leaves_before:
                    assert wrapper.hung_up.wait(PATIENCE)
            assert wrapper.hung_up.wait(PATIENCE)


def test_every_thread_has_limits_of_its_own() -> None:
    wrappers = [Wrapper() for _ in range(8)]

    def wait(wrapper: Wrapper) -> bool:
        with wrapper.within(LONG), wrapper.within(SHORT):
            return wrapper.hung_up.wait(PATIENCE)

    runners = on_threads(*[lambda each=each: wait(each) for each in wrappers])
    assert all(runner.result() for runner in runners)
