"""Log lines that are kept: of whom, how many, and what becomes of them in trouble."""

from __future__ import annotations

import logging
import logging.config
import os
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone

from hosting import CancellationToken, TimedService
from hosting.ids import process_name
from hosting.models import LogLine
from hosting.observability import linetable, linewriter
from hosting.observability.lines import LogLineHandler
from hosting.testing import started
from tests.queues.conftest import RunningWorker, fresh_tasks, until, worker
from tests.queues.log_tasks import fail, log, log_atomically

__all__ = ["fresh_tasks", "worker"]

pytestmark = pytest.mark.django_db(transaction=True)

SHOP = logging.getLogger("shop")
Attach = Callable[..., LogLineHandler]


@pytest.fixture
def attach() -> Iterator[Attach]:
    """Have a handler with these options keep what is logged, from the root on."""
    root, level = logging.getLogger(), SHOP.level
    made: list[LogLineHandler] = []

    def attach(**options: Any) -> LogLineHandler:
        handler = LogLineHandler(**options)
        made.append(handler)
        root.addHandler(handler)
        SHOP.setLevel("INFO")
        return handler

    yield attach
    SHOP.setLevel(level)
    for handler in made:
        root.removeHandler(handler)
        handler.flush()
        handler.close()
        thread = handler._writer._thread
        assert thread is None or thread.finished.wait(10)


def texts(**condition: Any) -> list[str]:
    found = LogLine.objects.filter(**condition).order_by("id")
    return list(found.values_list("text", flat=True))


def say(text: str, **fields: Any) -> None:
    SHOP.info(text, extra=fields)


# Whose lines, and what they say


@pytest.mark.parametrize("task", [log, log_atomically], ids=["plain", "atomic"])
def test_a_line_of_a_job_says_where_it_comes_from(
    worker: Callable[..., RunningWorker], attach: Attach, task: Any
) -> None:
    handler = attach()
    worker()
    before = timezone.now()
    result = task.enqueue("hello")
    until(lambda: handler.flush() or "hello" in texts(job_id=result.id))

    line = LogLine.objects.get(job_id=result.id, text="hello")
    assert (line.service, line.attempt, line.process) == ("jobs", 1, process_name())
    assert (line.level, line.logger) == (logging.INFO, "shop")
    assert before <= line.made_at <= timezone.now()


def test_the_lines_of_the_queue_about_a_job_are_its_lines_too(
    worker: Callable[..., RunningWorker], attach: Attach
) -> None:
    handler = attach(level="WARNING")
    worker()
    result = fail.using(max_attempts=2).enqueue()
    until(lambda: handler.flush() or texts(job_id=result.id))

    [text] = texts(job_id=result.id)
    assert "it failed; next attempt in" in text
    assert "LookupError: as told" in text  # the traceback


class Ticking(TimedService):
    interval = 60

    def tick(self, stopping: CancellationToken) -> None:
        SHOP.warning("tick %d", 1)


def test_a_line_of_a_service(attach: Attach) -> None:
    handler = attach(level="WARNING")
    with started(Ticking()):
        until(lambda: handler.flush() or texts())

    [line] = LogLine.objects.all()
    assert (line.service, line.job_id, line.text) == ("Ticking", None, "tick 1")


def test_what_is_logged_elsewhere_and_below_the_level_is_not_kept(attach: Attach) -> None:
    handler = attach(level="WARNING")
    SHOP.error("in a request")
    say("not important", service="a")
    SHOP.warning("kept", extra={"service": "a"})
    handler.flush()
    assert texts() == ["kept"]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("zero \0 and half \ud800", "zero \ufffd and half ?"),
        ("é 🐍 \u2028 <b>", "é 🐍 \u2028 <b>"),
        ("x" * 8_003, "x" * 8_000 + "\n… 3 more characters"),
    ],
    ids=["unstorable", "unicode", "long"],
)
def test_whatever_is_logged_can_be_stored(attach: Attach, text: str, kept: str) -> None:
    handler = attach()
    say(text, service="s" * 100, job="no id", attempt="x")
    handler.flush()
    [line] = LogLine.objects.all()
    assert (line.text, line.service, line.job_id, line.attempt) == (kept, "s" * 64, None, None)


def test_a_record_that_cannot_be_put_into_words_disturbs_nobody(
    attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    handler = attach()
    SHOP.warning("%d", "no number", extra={"service": "a"})
    say("next", service="a")
    handler.flush()
    assert texts() == ["next"]


# How many


def test_an_attempt_has_so_many_lines_and_another_one_too(attach: Attach) -> None:
    handler = attach(per_attempt=3)
    job = str(uuid4())
    for attempt in (1, 2):
        for number in range(6):
            say(f"{attempt}.{number}", service="jobs", job=job, attempt=attempt)
    handler.flush()
    more = "… (an attempt may have 3 lines, and this one has more)"
    assert texts(attempt=1) == ["1.0", "1.1", "1.2", more]
    assert texts(attempt=2) == ["2.0", "2.1", "2.2", more]


def test_the_last_lines_of_a_service_are_kept(attach: Attach) -> None:
    handler = attach(per_service=5)
    job = str(uuid4())
    say("of a job", service="a", job=job, attempt=1)
    say("of another", service="b")
    for number in range(40):
        say(str(number), service="a")
    handler.flush()
    assert texts(service="a", job_id=None) == ["35", "36", "37", "38", "39"]
    assert texts(service="b") == ["of another"]
    assert texts(job_id=job) == ["of a job"]


def test_lines_that_are_too_old_are_removed(
    attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linetable, "BATCH", 2)
    handler = attach(days=3)
    for number in range(7):
        say(str(number), service="a")
    handler.flush()
    old = LogLine.objects.filter(text__in=["0", "1", "2", "3", "4"])
    old.update(made_at=timezone.now() - timedelta(days=3, seconds=1))

    handler._writer._next_sweep = 0
    say("new", service="a")
    handler.flush()
    assert texts() == ["5", "6", "new"]


# In trouble


def test_lines_are_kept_in_memory_while_they_cannot_be_written(
    attach: Attach, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    is_away = True
    add = linetable.add

    def trip(lines: Any) -> None:
        if is_away:
            raise DatabaseError("the database is away")
        add(lines)

    monkeypatch.setattr(linetable, "add", trip)
    monkeypatch.setattr(linewriter, "BACKOFF", linewriter.Backoff(initial=0.01, maximum=0.01))
    handler = attach()
    say("one", service="a")
    until(lambda: handler._writer._failures > 1)
    say("two", service="a")
    is_away = False
    until(lambda: texts() == ["one", "two"])
    told = [each.getMessage() for each in caplog.records if "cannot be written" in each.message]
    assert told == ["Log lines of jobs and services cannot be written: the database is away"]


def test_what_comes_too_quickly_is_counted(
    attach: Attach, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(linewriter, "MOST", 3)
    monkeypatch.setattr(linewriter, "PAUSE", 30)
    handler = attach()
    for number in range(8):
        say(str(number), service="a")
    handler.flush()
    assert texts() == ["0", "1", "2"]
    assert "5 log lines of jobs and services were not kept, as 3 waited" in caplog.text


def test_what_the_writer_logs_itself_is_not_kept(attach: Attach) -> None:
    handler = attach()
    queries = logging.getLogger("django.db.backends")
    level = queries.level
    queries.setLevel("DEBUG")
    try:
        with connection.execute_wrapper(lambda execute, *rest: execute(*rest)):
            say("one", service="a")
            handler.flush()
    finally:
        queries.setLevel(level)
    assert texts() == ["one"]


def test_nobody_waits_for_the_writer(attach: Attach, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = threading.Event()
    add = linetable.add
    monkeypatch.setattr(linetable, "add", lambda lines: goes_on.wait(30) and add(lines))
    handler = attach()
    say("one", service="a")
    until(lambda: handler._writer._is_writing)
    say("two", service="a")  # while the first one is being written
    goes_on.set()
    handler.flush()
    assert texts() == ["one", "two"]


def test_a_forked_process_writes_its_own_lines(attach: Attach) -> None:
    handler = attach()
    say("before", service="a")
    handler.flush()
    connection.close()  # which the two must not share
    if (pid := os.fork()) == 0:
        code = 1
        try:
            say("in the child", service="a")
            handler.flush()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    say("in the parent", service="a")
    handler.flush()
    assert sorted(texts()) == ["before", "in the child", "in the parent"]
    assert len(set(LogLine.objects.values_list("process", flat=True))) == 2


# LOGGING


def test_the_handler_is_made_by_logging_as_the_docs_say() -> None:
    logging.config.dictConfig(
        {
            "version": 1,
            "incremental": False,
            "disable_existing_loggers": False,
            "handlers": {
                "lines": {
                    "class": "hosting.observability.lines.LogLineHandler",
                    "level": "INFO",
                    "per_attempt": 10,
                    "per_service": 20,
                    "days": 1,
                }
            },
        }
    )


@pytest.mark.parametrize("name", ["per_attempt", "per_service", "days"])
@pytest.mark.parametrize("value", [0, -1, 10_001, 1.5, "7", True, None])
def test_a_wrong_number_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{name} is {value!r}, allowed: a whole number from 1"):
        LogLineHandler(**{name: value})
