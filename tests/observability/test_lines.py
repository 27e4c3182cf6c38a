"""Log lines that are kept: of whom, how many, and what becomes of them in trouble."""

from __future__ import annotations

import logging
import logging.config
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from logging.handlers import QueueHandler, QueueListener
from multiprocessing import get_context
from queue import Queue
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError, DataError, OperationalError, connection
from django.test import override_settings
from django.utils import timezone

from hosting import CancellationToken, TimedService
from hosting.context import working_on
from hosting.ids import process_name
from hosting.models import LogLine
from hosting.observability import linetable, linewriter
from hosting.observability.lines import LogLineHandler
from hosting.observability.logs import ContextFilter
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


def end_others() -> None:
    """End what the server still does for those who have hung up, which it does not see."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


def texts(**condition: Any) -> list[str]:
    found = LogLine.objects.filter(**condition).order_by("id")
    return list(found.values_list("text", flat=True))


#: Statements that take longer than any test.
ENDLESS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT max(i) FROM n",
    "postgresql": "SELECT pg_sleep(3600)",
}


class Work:
    """A job or a service with these fields."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields

    def log_fields(self) -> dict[str, Any]:
        return self._fields


def say(text: Any, *args: Any, level: int = logging.INFO, **fields: Any) -> None:
    """Log this in a job or a service with these fields."""
    token = working_on.set(Work(fields))
    try:
        SHOP.log(level, text, *args)
    finally:
        working_on.reset(token)


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
    say("kept", level=logging.WARNING, service="a")
    handler.flush()
    assert texts() == ["kept"]


def test_what_others_call_a_service_or_a_job_is_none_of_hosting(attach: Attach) -> None:
    handler = attach()
    job = str(uuid4())
    own = {"service": "payments", "job": "import-7", "attempt": 10**12}
    SHOP.warning("in a request", extra=own)
    token = working_on.set(Work({"service": "jobs", "job": job, "attempt": 2}))
    try:
        SHOP.warning("in a job", extra=own)
    finally:
        working_on.reset(token)
    handler.flush()
    [line] = LogLine.objects.all()
    assert (line.text, line.service, str(line.job_id), line.attempt) == ("in a job", "jobs", job, 2)


def test_a_record_of_hosting_says_itself_what_it_is_about(attach: Attach) -> None:
    handler = attach()
    token = working_on.set(Work({"service": "jobs"}))
    job = str(uuid4())
    try:
        records = logging.getLogger("hosting.queues.settling")
        records.warning("failed", extra={"job": job, "attempt": 3, "service": "jobs"})
    finally:
        working_on.reset(token)
    handler.flush()
    [line] = LogLine.objects.all()
    assert (line.service, str(line.job_id), line.attempt) == ("jobs", job, 3)


def test_a_record_may_come_through_a_queue(attach: Attach) -> None:
    handler = attach()
    logging.getLogger().removeHandler(handler)
    waiting: Queue[Any] = Queue()
    queueing = QueueHandler(waiting)
    queueing.addFilter(ContextFilter())
    SHOP.addHandler(queueing)
    try:
        say("in a service", service="a")
        SHOP.info("elsewhere", extra={"service": "payments"})
    finally:
        SHOP.removeHandler(queueing)
    listener = QueueListener(waiting, handler)
    listener.start()
    listener.stop()  # after all that waits
    handler.flush()
    assert texts() == ["in a service"]
    assert texts(service="a") == ["in a service"]


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
    say("%d", "no number", service="a")
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


class Outage:
    """What is written meets this error until it is over."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
        self.is_over = False
        self._error = error
        self._add = linetable.add
        monkeypatch.setattr(linetable, "add", self._try)

    def _try(self, lines: Any) -> None:
        if not self.is_over:
            raise self._error
        self._add(lines)


def test_lines_are_kept_in_memory_while_they_cannot_be_written(
    attach: Attach, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    outage = Outage(monkeypatch, DatabaseError("the database is away"))
    monkeypatch.setattr(linewriter, "BACKOFF", linewriter.Backoff(initial=0.01, maximum=0.01))
    handler = attach()
    say("one", service="a")
    until(lambda: handler._writer._failures > 1)
    say("two", service="a")
    outage.is_over = True
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


def test_lines_are_written_once_though_old_ones_cannot_be_removed(
    attach: Attach, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(days: int) -> None:
        raise OperationalError("permission denied")

    monkeypatch.setattr(linetable, "leave_days", refuse)
    monkeypatch.setattr(linewriter, "SWEEP", 0)
    handler = attach()
    for number in range(3):
        say(str(number), service="a")
        handler.flush()
    assert texts() == ["0", "1", "2"]
    assert caplog.text.count("cannot be removed: permission denied") == 1
    assert "cannot be written" not in caplog.text


def test_a_database_that_does_not_answer_is_given_up(
    attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, is_silent = linetable.add, True

    def trip(lines: Any) -> None:
        if is_silent:
            with connection.cursor() as cursor:
                cursor.execute(ENDLESS[connection.vendor])
        add(lines)

    monkeypatch.setattr(linetable, "add", trip)
    monkeypatch.setattr(linewriter, "LIMIT", 0.1)
    monkeypatch.setattr(linewriter, "BACKOFF", linewriter.Backoff(initial=0.01, maximum=0.01))
    handler = attach()
    say("one", service="a")
    until(lambda: handler._writer._failures)
    is_silent = False
    monkeypatch.setattr(linewriter, "LIMIT", 30)
    until(lambda: texts() == ["one"])
    handler.close()
    end_others()


def test_a_line_that_the_database_refuses_holds_up_no_other(
    attach: Attach, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    add = linetable.add

    def trip(lines: Any) -> None:
        lines = list(lines)
        if any("\N{SNAKE}" in line["text"] for line in lines):
            raise DataError("character has no equivalent in encoding LATIN1")
        add(lines)

    monkeypatch.setattr(linetable, "add", trip)
    monkeypatch.setattr(linewriter, "PAUSE", 30)
    handler = attach()
    for text in ["0", "1", "\N{SNAKE}", "3", "4", "\N{SNAKE}", "6"]:
        say(text, service="a")
    handler.flush()
    assert texts() == ["0", "1", "3", "4", "6"]
    assert caplog.text.count("does not take a log line") == 1


def test_more_lines_than_one_statement_takes_do_not_wait_for_each_other(
    attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linewriter, "PAUSE", 300)
    monkeypatch.setattr(linewriter, "BATCH", 2)
    attach()
    for number in range(6):
        say(str(number), service="a")
    until(lambda: len(texts()) == 6)


def test_what_waits_after_trouble_is_written_at_the_end(
    attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    outage = Outage(monkeypatch, OperationalError("the database is away"))
    monkeypatch.setattr(linewriter, "PAUSE", 0.01)
    monkeypatch.setattr(linewriter, "BACKOFF", linewriter.Backoff(initial=300, maximum=300))
    monkeypatch.setattr(linewriter, "PATIENCE", 30)
    handler = attach()
    say("one", service="a")
    until(lambda: handler._writer._failures == 1 and not handler._writer._is_writing)
    before = time.monotonic()
    handler.flush()  # tries once more, and waits no longer
    assert time.monotonic() - before < 10
    assert handler._writer._failures == 2
    outage.is_over = True
    handler.flush()
    assert texts() == ["one"]


def test_the_thread_leaves_the_database_before_the_interpreter_does(attach: Attach) -> None:
    handler = attach()
    say("one", service="a")
    handler.flush()
    thread = handler._writer._thread
    handler.close()
    assert thread is not None
    assert thread.finished.is_cancelled


def test_where_no_thread_is_to_be_had_nobody_is_disturbed(
    attach: Attach, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    handler = attach()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        patch.setattr(linewriter, "PATIENCE", 300)
        say("one", service="a")
        handler.flush()  # does not wait for nobody
    assert "Logging error" not in capsys.readouterr().err
    say("two", service="a")
    handler.flush()
    assert texts() == ["one", "two"]


def test_lines_are_removed_where_they_are_written(
    attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Router:
        """Readers are sent to a replica, which is not there."""

        def db_for_read(self, model: Any, **hints: Any) -> str:
            return "replica"

        def db_for_write(self, model: Any, **hints: Any) -> str:
            return "default"

    handler = attach(per_service=5)
    with override_settings(DATABASE_ROUTERS=[Router()]):
        for number in range(20):
            say(str(number), service="a")
        handler.flush()
    assert texts() == ["15", "16", "17", "18", "19"]


def test_a_process_of_multiprocessing_writes_its_lines_before_it_ends(attach: Attach) -> None:
    attach()
    connection.close()  # which the two must not share
    child = get_context("fork").Process(target=say, args=["in the child"], kwargs={"service": "a"})
    child.start()
    child.join(30)
    assert child.exitcode == 0
    assert texts() == ["in the child"]


# LOGGING


def test_the_handler_is_made_by_logging_as_the_docs_say() -> None:
    values = {
        "class": "hosting.observability.lines.LogLineHandler",
        "level": "WARNING",
        "per_attempt": 10,
        "per_service": 20,
        "days": 1,
    }
    # As `dictConfig` makes it, which would close all handlers that there are.
    handler = logging.config.DictConfigurator({}).configure_handler(values)
    assert isinstance(handler, LogLineHandler)
    assert (handler.level, handler._per_attempt) == (logging.WARNING, 10)
    assert (handler._writer._per_service, handler._writer._days) == (20, 1)
    handler.close()


@pytest.mark.parametrize("name", ["per_attempt", "per_service", "days"])
@pytest.mark.parametrize("value", [0, -1, 10_001, 1.5, "7", True, None])
def test_a_wrong_number_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{name} is {value!r}, allowed: a whole number from 1"):
        LogLineHandler(**{name: value})
