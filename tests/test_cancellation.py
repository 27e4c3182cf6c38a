"""The token: cancelled once and for good, with its callbacks, its children and its waits."""

from __future__ import annotations

import asyncio
import gc
import itertools
import math
import threading
import time
import weakref

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

from hosting.cancellation import CancellationToken, Registration
from hosting.exceptions import OperationCancelled
from tests.host.helpers import PATIENCE, Runner, on_threads, run


def test_a_token_is_active_until_it_is_cancelled_and_cancelled_ever_after() -> None:
    token = CancellationToken()
    assert not token.is_cancelled
    assert repr(token) == "<CancellationToken active>"
    token.raise_if_cancelled()
    for _ in range(2):
        token.cancel()
        assert token.is_cancelled
        assert repr(token) == "<CancellationToken cancelled>"
        with pytest.raises(OperationCancelled):
            token.raise_if_cancelled()


def test_a_wait_ends_with_the_cancellation() -> None:
    token = CancellationToken()
    assert token.wait(0) is False
    waiting = Runner(token.wait)
    token.cancel()
    assert waiting.result() is True
    assert token.wait() is True


def test_a_coroutine_waits_without_holding_up_the_loop() -> None:
    async def scenario() -> None:
        token = CancellationToken()
        assert await token.wait_async(0) is False
        waiting = [asyncio.create_task(token.wait_async()) for _ in range(3)]
        await asyncio.sleep(0)
        Runner(token.cancel).result()
        assert await asyncio.gather(*waiting) == [True, True, True]
        assert await token.wait_async() is True

    run(scenario())


def test_a_wait_that_gave_up_leaves_nothing_behind() -> None:
    token = CancellationToken()

    async def give_up() -> None:
        assert await token.wait_async(0.001) is False
        waiting = asyncio.create_task(token.wait_async())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    run(give_up())
    assert token._callbacks == {}
    token.cancel()


def test_a_token_outlives_the_loop_of_one_who_waited() -> None:
    """A loop that is closed meanwhile is no error of whoever cancels."""
    token = CancellationToken()
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(token.wait_async())
    loop.run_until_complete(asyncio.sleep(0))
    waiting.cancel()
    loop.close()
    token.cancel()
    assert token.is_cancelled


def test_callbacks_are_called_latest_first_on_the_thread_that_cancels() -> None:
    token = CancellationToken()
    calls: list[tuple[int, str]] = []
    for number in range(3):
        token.register(lambda n=number: calls.append((n, threading.current_thread().name)))
    thread = threading.Thread(target=token.cancel, name="canceller")
    thread.start()
    thread.join(PATIENCE)
    assert calls == [(2, "canceller"), (1, "canceller"), (0, "canceller")]


def test_a_callback_of_a_cancelled_token_is_called_at_once() -> None:
    token = CancellationToken()
    token.cancel()
    calls: list[int] = []
    token.register(lambda: calls.append(1))
    assert calls == [1]


def test_a_callback_may_be_taken_back() -> None:
    token = CancellationToken()
    calls: list[str] = []
    back = token.register(lambda: calls.append("back"))
    back()
    back()
    with token.register(lambda: calls.append("block")):
        pass
    token.cancel()
    assert calls == []


def test_a_callback_may_take_back_another_one() -> None:
    token = CancellationToken()
    calls: list[str] = []
    first = token.register(lambda: calls.append("first"))
    token.register(first)
    token.cancel()
    assert calls == [], "what was taken back was called"


def test_a_callback_that_raises_is_logged_and_the_others_are_called(
    caplog: pytest.LogCaptureFixture,
) -> None:
    token = CancellationToken()
    calls: list[int] = []
    token.register(lambda: calls.append(1))
    token.register(lambda: 1 / 0)
    token.register(lambda: calls.append(2))
    token.cancel()
    assert calls == [2, 1]
    assert "ZeroDivisionError" in caplog.text


def test_a_callback_may_use_its_token() -> None:
    token = CancellationToken()
    seen: list[object] = []

    def use() -> None:
        token.cancel()
        seen.append(token.is_cancelled)
        token.register(lambda: seen.append("at once"))

    token.register(use)
    token.cancel()
    assert seen == [True, "at once"]


def test_a_linked_token_follows_any_of_its_parents() -> None:
    for cancelled in range(2):
        parents = [CancellationToken(), CancellationToken()]
        child = CancellationToken(*parents)
        grandchild = CancellationToken(child)
        parents[cancelled].cancel()
        assert child.is_cancelled
        assert grandchild.is_cancelled
        assert not parents[1 - cancelled].is_cancelled


def test_a_child_does_not_cancel_its_parent() -> None:
    parent = CancellationToken()
    CancellationToken(parent).cancel()
    assert not parent.is_cancelled


def test_a_child_of_a_cancelled_token_is_born_cancelled() -> None:
    parent = CancellationToken()
    parent.cancel()
    assert CancellationToken(CancellationToken(), parent).is_cancelled


def test_children_are_told_before_a_callback_can_hold_them_up() -> None:
    """Whoever waits on a linked token must not wait for a callback of somebody else."""
    parent, hold = CancellationToken(), CancellationToken()
    child = CancellationToken(parent)
    parent.register(hold.wait)
    cancelling = Runner(parent.cancel)
    try:
        assert child.wait(PATIENCE / 4), "the child waits for the callback"
    finally:
        hold.cancel()
        cancelling.result()


def test_a_parent_does_not_keep_its_children() -> None:
    parent = CancellationToken()
    gone = [weakref.ref(CancellationToken(parent)) for _ in range(100)]
    gc.collect()
    assert not any(child() for child in gone)
    assert parent._callbacks == {}


def test_a_child_keeps_its_parents() -> None:
    """The parent of a parent may be known to the child alone."""
    root = CancellationToken()
    leaf = CancellationToken(CancellationToken(root))
    gc.collect()
    root.cancel()
    assert leaf.is_cancelled


def test_cancel_after_cancels() -> None:
    token = CancellationToken()
    token.cancel_after(0.001)
    assert token.wait(PATIENCE)


def test_a_later_deadline_does_not_defer_a_sooner_one() -> None:
    token = CancellationToken()
    token.cancel_after(0.001)
    token.cancel_after(900)
    assert token.wait(PATIENCE)


def test_a_sooner_deadline_comes_first() -> None:
    token = CancellationToken()
    token.cancel_after(900)
    token.cancel_after(0)
    assert token.wait(PATIENCE)


@pytest.mark.parametrize("seconds", [-1, -0.001, math.nan, -math.inf])
def test_cancel_after_refuses_what_is_no_time(seconds: float) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        CancellationToken().cancel_after(seconds)


def test_cancel_after_an_infinite_time_never_cancels() -> None:
    token = CancellationToken()
    token.cancel_after(math.inf)
    assert token.remaining == math.inf
    token.cancel_after(0)
    assert token.wait(PATIENCE)


def test_remaining_is_the_time_to_the_nearest_deadline() -> None:
    assert CancellationToken().remaining is None
    parent = CancellationToken()
    child = CancellationToken(CancellationToken(), parent)
    assert child.remaining is None
    child.cancel_after(900)
    assert 800 < (child.remaining or 0) <= 900
    parent.cancel_after(60)
    assert 50 < (child.remaining or 0) <= 60
    parent.cancel_after(0)
    assert child.remaining == 0


def test_a_wait_may_be_longer_than_a_clock_can_count() -> None:
    """Whoever is given a number of seconds need not know the limits of the platform."""
    token = CancellationToken()
    waiting = Runner(lambda: token.wait(1e12))
    token.cancel()
    assert waiting.result() is True


def test_many_threads_cancel_once() -> None:
    token = CancellationToken()
    calls = itertools.count()
    token.register(lambda: next(calls))
    for runner in on_threads(*[token.cancel] * 8):
        runner.result()
    assert next(calls) == 1


def test_a_callback_registered_while_another_thread_cancels_is_called_once() -> None:
    """Either by `cancel` or by `register`, whichever comes second."""
    for _ in range(50):
        token = CancellationToken()
        calls: list[int] = []
        both = threading.Barrier(2)

        def register(token: CancellationToken = token, both: threading.Barrier = both) -> None:
            both.wait(PATIENCE)
            token.register(lambda: calls.append(1))  # noqa: B023 - called within the iteration

        def cancel(token: CancellationToken = token, both: threading.Barrier = both) -> None:
            both.wait(PATIENCE)
            token.cancel()

        for runner in on_threads(register, cancel):
            runner.result()
        assert calls == [1]


class Tokens(RuleBasedStateMachine):
    """Any interleaving of what can be done with a tree of tokens, against a plain model."""

    tokens = Bundle("tokens")
    registrations = Bundle("registrations")

    @initialize(target=tokens)
    def begin(self) -> CancellationToken:
        self.children: dict[CancellationToken, list[CancellationToken]] = {}
        self.cancelled: set[CancellationToken] = set()
        self.calls: dict[int, int] = {}
        self.expected: dict[int, int] = {}
        self.active: dict[int, tuple[CancellationToken, Registration]] = {}
        return self._note(CancellationToken())

    def _note(self, token: CancellationToken) -> CancellationToken:
        self.children[token] = []
        return token

    @rule(target=tokens, parents=st.lists(tokens, max_size=3))
    def link(self, parents: list[CancellationToken]) -> CancellationToken:
        child = self._note(CancellationToken(*parents))
        for parent in parents:
            self.children[parent].append(child)
        if self.cancelled & set(parents):
            self._model_cancel(child)
        return child

    @rule(target=registrations, token=tokens, raises=st.booleans())
    def register(self, token: CancellationToken, raises: bool) -> int:
        key = len(self.calls)
        self.calls[key] = 0
        self.expected[key] = int(token in self.cancelled)

        def callback() -> None:
            self.calls[key] += 1
            if raises:
                raise ValueError("a bug in a callback")

        registration = token.register(callback)
        if token not in self.cancelled:
            self.active[key] = (token, registration)
        return key

    @rule(key=registrations)
    def unregister(self, key: int) -> None:
        if key in self.active:
            self.active.pop(key)[1]()

    @rule(token=tokens)
    def cancel(self, token: CancellationToken) -> None:
        self._model_cancel(token)
        token.cancel()

    @rule(token=tokens)
    def cancel_on_another_thread(self, token: CancellationToken) -> None:
        self._model_cancel(token)
        Runner(token.cancel).result()

    @rule(token=tokens)
    def cancel_after_nothing(self, token: CancellationToken) -> None:
        self._model_cancel(token)
        called = threading.Event()
        token.cancel_after(0)
        assert token.wait(PATIENCE)
        # The callbacks run after the waits; the oldest callback is the last.
        token_done = self.expected.copy()
        deadline = time.monotonic() + PATIENCE
        while self.calls != token_done and time.monotonic() < deadline:
            called.wait(0.001)

    @rule(target=tokens, token=tokens)
    def cancel_after_ages(self, token: CancellationToken) -> object:
        token.cancel_after(900)
        assert token.remaining is not None
        return multiple()

    def _model_cancel(self, token: CancellationToken) -> None:
        if token in self.cancelled:
            return
        self.cancelled.add(token)
        for key, (owner, _) in list(self.active.items()):
            if owner is token:
                self.expected[key] = 1
                del self.active[key]
        for child in self.children[token]:
            self._model_cancel(child)

    @invariant()
    def every_token_is_what_the_model_says(self) -> None:
        for token in getattr(self, "children", ()):
            assert token.is_cancelled == (token in self.cancelled)
            assert token.wait(0) == token.is_cancelled

    @invariant()
    def every_callback_was_called_as_often_as_the_model_says(self) -> None:
        assert getattr(self, "calls", {}) == getattr(self, "expected", {})


TestTokens = Tokens.TestCase
