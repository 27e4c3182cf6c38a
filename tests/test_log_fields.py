"""Records of log say which service or job they are about: the source, the docs, and at work."""

from __future__ import annotations

import ast
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hosting import CancellationToken, TimedService
from hosting.observability.logs import FIELDS, ContextFilter
from hosting.testing import started
from tests.queues.conftest import RunningWorker, fresh_tasks, until, worker
from tests.queues.log_tasks import alog, fail, log, log_atomically

__all__ = ["fresh_tasks", "worker"]

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "hosting"
KEYS = {*FIELDS, "token", "schedule"}
LEVELS = ("debug", "info", "warning", "error", "exception", "critical", "log")
MAKES_FIELDS = ("log_fields", "claim_fields", "_about")

#: Modules that speak of the process as a whole, not of a service or job.
OF_THE_PROCESS = re.compile(r"^(process/.*|host\.py)$")


#: Those that log anything. Of whole modules only the text is looked at here, as every process of a
#: run imports this.
MODULES = [
    name
    for path in sorted(SOURCES.rglob("*.py"))
    if re.search(r"\blogger\.", path.read_text())
    for name in [str(path.relative_to(SOURCES))]
]


def calls(module: str) -> Iterator[ast.Call]:
    """Every call of the module's logger."""
    for node in ast.walk(ast.parse((SOURCES / module).read_text())):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "logger"
            and node.func.attr in LEVELS
        ):
            yield node


@pytest.mark.parametrize("module", [name for name in MODULES if not OF_THE_PROCESS.match(name)])
def test_every_record_about_a_service_or_job_says_which(module: str) -> None:
    found = list(calls(module))
    assert found
    for call in found:
        line = f"line {call.lineno}"
        extra = {keyword.arg: keyword.value for keyword in call.keywords}.get("extra")
        assert extra is not None, f"{line} has no extra"
        keys, makers = parts(extra)
        assert keys <= KEYS, f"{line}; allowed: {sorted(KEYS)}"
        assert all(maker in MAKES_FIELDS for maker in makers), line
        assert keys or makers, line


def parts(extra: ast.expr) -> tuple[set[str], list[str]]:
    """The keys that are written in an `extra`, and the functions that make others."""
    if isinstance(extra, ast.Call):
        return set(), [ast.unparse(extra.func)]
    assert isinstance(extra, ast.Dict), ast.unparse(extra)
    keys = {ast.literal_eval(key) for key in extra.keys if key is not None}
    merged = [value for key, value in zip(extra.keys, extra.values, strict=True) if key is None]
    return keys, [maker for value in merged for maker in parts(value)[1]]


@pytest.mark.parametrize("module", [name for name in MODULES if name != "queues/joblog.py"])
def test_every_logger_is_documented(module: str) -> None:
    source = (SOURCES / module).read_text()
    [given] = re.findall(r"logging\.getLogger\((.+)\)", source)
    path = "hosting." + module.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    logger = {"__name__": path, "__package__": path.rpartition(".")[0]}.get(given, given.strip('"'))
    page = (ROOT / "docs/logging.md").read_text()
    assert re.search(rf"^\| `{re.escape(logger)}` \|", page, re.MULTILINE), logger


def test_keys_of_extra_are_documented() -> None:
    page = (ROOT / "docs/logging.md").read_text().partition("## Keys in `extra`")[2]
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == KEYS


# At work


class Records(logging.Handler):
    """What loggers of the project made, with the fields of the filter."""

    def __init__(self) -> None:
        super().__init__()
        self.addFilter(ContextFilter())
        self.made: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.made.append(record)

    def fields(self, text: str) -> dict[str, Any]:
        """The fields of the one record with this text."""
        [record] = [each for each in self.made if each.getMessage() == text]
        return {name: getattr(record, name) for name in FIELDS}


@pytest.fixture
def records() -> Iterator[Records]:
    records = Records()
    logger = logging.getLogger("shop")
    logger.addHandler(records)
    logger.setLevel("INFO")
    yield records
    logger.removeHandler(records)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("task", [log, alog, log_atomically], ids=["plain", "coroutine", "atomic"])
def test_what_a_job_logs_has_its_fields(
    worker: Callable[..., RunningWorker], records: Records, task: Any
) -> None:
    worker()
    results = [task.enqueue(word) for word in ("one", "two")]
    until(lambda: len(records.made) == 2)

    for word, result in zip(("one", "two"), results, strict=True):
        fields = records.fields(word)
        assert fields.pop("worker")
        assert fields == {
            "service": "jobs",
            "job": result.id,
            "task": task.module_path,
            "attempt": 1,
        }


class Ticking(TimedService):
    interval = 60

    def tick(self, stopping: CancellationToken) -> None:
        logging.getLogger("shop").info("tick")
        self.lifetime.stop()


class TickingOnTheLoop(TimedService):
    interval = 60

    async def tick(self, stopping: CancellationToken) -> None:
        logging.getLogger("shop").info("tick")


@pytest.mark.parametrize("made", [Ticking, TickingOnTheLoop])
def test_what_a_tick_logs_has_its_service(made: type[TimedService], records: Records) -> None:
    with started(made()):
        until(lambda: records.made)

    assert records.fields("tick")["service"] == made.__name__


def test_a_field_that_is_there_stays_and_elsewhere_fields_are_empty(records: Records) -> None:
    logging.getLogger("shop").info("here", extra={"service": "mine"})

    assert records.fields("here") == {**dict.fromkeys(FIELDS, ""), "service": "mine"}


@pytest.mark.django_db(transaction=True)
def test_what_is_logged_of_a_job_has_its_fields(
    worker: Callable[..., RunningWorker], caplog: pytest.LogCaptureFixture
) -> None:
    running = worker()
    result = fail.using(max_attempts=2).enqueue()
    until(lambda: any("next attempt" in record.getMessage() for record in caplog.records))

    [record] = [each for each in caplog.records if "next attempt" in each.getMessage()]
    result.refresh()
    assert {name: getattr(record, name) for name in FIELDS} == {
        "service": running.service.name,
        "job": result.id,
        "task": fail.module_path,
        "attempt": 1,
        "worker": result.worker_ids[0],
    }
