"""How many groups of atomic jobs are executed side by side."""

import pytest

from hosting.queues.parallelism import FIRST, FULL, ROOM, WINDOW, Parallelism

BUSY, BALANCED, WAITING = (FULL + 1) / 2, (ROOM + FULL) / 2, ROOM / 2


class Process:
    """A process whose time passes when the test says so."""

    def __init__(self, most: int) -> None:
        self.now, self.used = 100.0, 7.0
        self.parallelism = Parallelism(most, lambda: self.now, lambda: self.used)
        assert self.parallelism.judge() == 0  # nothing was measured yet

    def work(self, share: float, threads: int, seconds: float = 1.1 * WINDOW) -> int:
        """So many threads end a group each, while the process computes for a share of the time."""
        for thread in range(threads):
            assert not self.parallelism.is_enough(thread)
        self.now += seconds
        self.used += share * seconds
        return self.parallelism.judge()

    def dismissed(self) -> int:
        """How many threads are told that others are enough."""
        number = 0
        while self.parallelism.is_enough(0):
            number += 1
        return number


@pytest.mark.parametrize("most", [1, 2, 20])
def test_begins_with_few(most: int) -> None:
    assert Parallelism(most).threads == min(most, FIRST)


def test_threads_that_only_wait_for_each_other_are_dismissed_but_for_one() -> None:
    process = Process(20)

    assert process.work(BUSY, threads=20) == 0
    assert (process.parallelism.threads, process.dismissed()) == (1, 19)
    assert process.work(BUSY, threads=1) == 0
    assert (process.parallelism.threads, process.dismissed()) == (1, 0)


def test_while_the_process_waits_threads_are_added_up_to_the_most() -> None:
    process = Process(4)

    assert [process.work(WAITING, threads=number) for number in (2, 3, 4, 4)] == [1, 1, 0, 0]
    assert (process.parallelism.threads, process.dismissed()) == (4, 0)


def test_as_many_as_keep_it_busy_stay() -> None:
    process = Process(20)
    process.work(WAITING, threads=2)

    assert [process.work(BALANCED, threads=3) for _ in range(5)] == [0] * 5
    assert (process.parallelism.threads, process.dismissed()) == (3, 0)


def test_none_is_added_while_those_there_are_have_nothing_to_do() -> None:
    process = Process(20)

    assert [process.work(WAITING, threads=1) for _ in range(5)] == [1] * 5
    assert process.parallelism.threads == FIRST


def test_a_thread_that_is_held_up_does_not_count() -> None:
    process = Process(20)
    process.work(BUSY, threads=2)  # and a third, in a long job
    process.dismissed()

    assert process.work(BUSY, threads=1) == 0
    assert process.dismissed() == 0


def test_nothing_is_judged_before_its_time() -> None:
    process = Process(20)

    assert process.work(BUSY, threads=20, seconds=WINDOW / 2) == 0
    assert (process.parallelism.threads, process.dismissed()) == (FIRST, 0)


def test_nothing_is_judged_by_a_time_with_too_few_jobs() -> None:
    process = Process(20)
    process.parallelism.interrupt()

    assert process.work(WAITING, threads=2) == 0
    assert process.parallelism.threads == FIRST
    assert process.work(WAITING, threads=2) == 1


def test_nothing_is_judged_by_a_time_without_groups() -> None:
    process = Process(20)

    assert [process.work(share, threads=0) for share in (WAITING, BUSY)] == [0, 0]
    assert process.parallelism.threads == FIRST


def test_a_dismissal_that_nobody_took_is_void() -> None:
    process = Process(20)
    process.work(BUSY, threads=20)

    process.now += 1.1 * WINDOW
    process.parallelism.judge()
    assert process.dismissed() == 0


def test_no_more_are_woken_for_short_jobs_once_it_is_known() -> None:
    process = Process(20)
    assert process.parallelism.most_of(8) == 8

    process.work(BUSY, threads=8)
    assert [process.parallelism.most_of(threads) for threads in (8, 1)] == [1, 1]
    process.dismissed()
    process.work(WAITING, threads=0)
    process.work(WAITING, threads=0)
    assert process.parallelism.most_of(8) == 8


@pytest.mark.parametrize(("share", "crowd"), [(BUSY, 5), (BALANCED, 5), (WAITING, 1)])
def test_how_many_have_waited_for_each_other(share: float, crowd: int) -> None:
    process = Process(20)
    assert process.parallelism.crowd == 1

    process.work(share, threads=5)
    assert process.parallelism.crowd == crowd
