"""The services of the sample: what they log and do."""

import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from django.db.models.functions import Now

from hosting import CancellationToken, HostedService, QueuedHostedService, background_tasks
from hosting.models import HostProcess
from hosting.signals import key_pressed
from hosting.testing import assert_lifecycle, started, tick
from messages_app.models import AddedTask
from messages_app.services import MonitorLoop, ScopedHostedService, TimedHostedService
from messages_app.tasks import add_task

PATIENCE = 20  # seconds that a test waits for a fact before it fails


class Lines(logging.Handler):
    """The lines that the sample logs, and a way to wait for one."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        with self._changed:
            self._lines.append(record.getMessage())
            self._changed.notify_all()

    def with_end(self, end: str) -> list[str]:
        """All lines so far, once there is one that ends so."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: any(line.endswith(end) for line in self._lines), PATIENCE
            ), self._lines
            return list(self._lines)


@pytest.fixture
def log() -> Iterator[Lines]:
    handler, logger = Lines(), logging.getLogger("messages_app")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def press(key: str) -> None:
    key_pressed.send(sender=None, key=key)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("make", [TimedHostedService, ScopedHostedService, MonitorLoop])
def test_each_keeps_the_lifecycle_contract(make: Callable[[], HostedService]) -> None:
    assert_lifecycle(make)


def test_the_timer_counts_its_ticks(log: Lines) -> None:
    with started(TimedHostedService(interval=0.01)):
        lines = log.with_end("Count: 3")

    assert lines[:4] == [
        "Timed Hosted Service running.",
        "Timed Hosted Service is working. Count: 1",
        "Timed Hosted Service is working. Count: 2",
        "Timed Hosted Service is working. Count: 3",
    ]
    assert log.with_end("Timed Hosted Service is stopping.")


class TestScopedHostedService:
    @pytest.mark.django_db(transaction=True)
    def test_each_iteration_reads_the_database(self, log: Lines) -> None:
        with started(ScopedHostedService(interval=60)):
            lines = log.with_end("Messages: 0")

        assert "Scoped Processing Service is working. Count: 1. Messages: 0" in lines

    @pytest.mark.django_db(transaction=True)
    def test_tasks_in_the_memory_of_a_dead_process_are_lost(self) -> None:
        lost, kept = add_task("memory", 3, 5), add_task("database", 3, 5)

        tick(ScopedHostedService())

        lost.refresh_from_db()
        kept.refresh_from_db()
        assert (lost.state, kept.state) == ("lost", "waiting")
        assert lost.finished_at

    @pytest.mark.django_db(transaction=True)
    def test_tasks_in_the_memory_of_a_living_process_are_not(self) -> None:
        HostProcess.objects.create(
            host_name=socket.gethostname(),
            pid=os.getpid(),
            kind="web",
            version="1",
            services=json.dumps(
                [
                    {
                        "name": "queue",
                        "service": "hosting.QueuedHostedService",
                        "state": "running",
                        "since": "2026-01-01T00:00:00+00:00",
                        "ready": True,
                        "restarts": 0,
                        "last_error": None,
                        "facts": {},
                    }
                ]
            ),
            started_at=Now(),
            seen_at=Now(),
        )
        add_task("memory", 3, 5)

        tick(ScopedHostedService())

        assert AddedTask.objects.get().state == "waiting"


class TestMonitorLoop:
    def test_w_adds_a_work_item_that_logs_three_steps(self, log: Lines) -> None:
        with started(QueuedHostedService(), MonitorLoop(step_seconds=0)) as host:
            host.lifetime.started.wait(PATIENCE)
            _wait_for_consumer()
            press("w")
            lines = log.with_end("is complete.")

        assert lines[0] == "Monitor Loop is starting."
        guid = lines[1].split()[3]
        assert lines[1:] == [
            f"Queued Background Task {guid} is starting.",
            f"Queued Background Task {guid} is running. 1/3",
            f"Queued Background Task {guid} is running. 2/3",
            f"Queued Background Task {guid} is running. 3/3",
            f"Queued Background Task {guid} is complete.",
        ]

    @pytest.mark.usefixtures("consumer")
    def test_the_item_says_when_it_was_cancelled(self, log: Lines) -> None:
        token = CancellationToken()
        token.cancel()
        with started(MonitorLoop()):
            press("W")
        item = background_tasks.poll()
        assert item is not None

        item(token)

        assert [line.split(maxsplit=4)[-1] for line in log.with_end("was cancelled.")[1:]] == [
            "is starting.",
            "was cancelled.",
        ]

    @pytest.mark.usefixtures("consumer")
    def test_other_keys_add_nothing(self) -> None:
        with started(MonitorLoop()):
            press("x")

        assert not len(background_tasks)

    @pytest.mark.usefixtures("consumer")
    def test_after_its_stop_no_key_adds_anything(self) -> None:
        with started(MonitorLoop()):
            pass
        press("w")

        assert not len(background_tasks)

    def test_where_nobody_drains_the_queue_the_key_says_so(self, log: Lines) -> None:
        with started(MonitorLoop()):
            press("w")

        assert log.with_end("this process hosts no QueuedHostedService.")
        assert not len(background_tasks)

    @pytest.mark.usefixtures("consumer")
    def test_a_full_queue_is_said_and_not_waited_for(self, log: Lines) -> None:
        for _ in range(background_tasks.capacity):
            background_tasks.enqueue(lambda token: None, timeout=0)

        with started(MonitorLoop()):
            press("w")

        assert log.with_end("it holds 100 work items.")

    @pytest.mark.parametrize("wrong", [-1, "5", None, True, float("nan")])
    def test_a_wrong_option_is_named(self, wrong: object) -> None:
        [problem] = MonitorLoop.check_options({"step_seconds": wrong})

        assert repr(wrong) in problem
        assert "0 or more" in problem


def _wait_for_consumer() -> None:
    ready = threading.Event()
    background_tasks.enqueue(lambda token: ready.set())
    assert ready.wait(PATIENCE)
