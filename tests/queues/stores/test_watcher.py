"""What tells a worker of commits to SQLite does not get in the way of SQLite's own locks."""

import mmap
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections, transaction

from hosting.models import Limit
from hosting.queues.stores import store_for, watcher
from hosting.queues.stores.advice import advice_on
from hosting.threads import ServiceThread
from tests.queues.conftest import until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="is about files of SQLite"),
]

CAN_WRITE = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
try:
    database.execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError as error:
    print(error)
else:
    print("can write")
"""


@pytest.fixture(autouse=True)
def nobody_else() -> None:
    """Have no worker of another test listen still, as its thread may end a bit later."""
    until(lambda: not listeners())


@pytest.fixture(autouse=True)
def wal(nobody_else: None) -> Iterator[None]:
    """Have the test's database keep a log, as the documentation recommends it."""
    with connection.cursor() as cursor:
        [[before]] = cursor.execute("PRAGMA journal_mode").fetchall()
        cursor.execute("PRAGMA journal_mode=WAL")
    yield
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA journal_mode={before}")


def another_process() -> str:
    """What another process is told that wants to write now."""
    name = str(connections["default"].settings_dict["NAME"])
    command = [sys.executable, "-c", CAN_WRITE, name]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def listeners() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "hosting:listen:default"]


def is_heard() -> bool:
    """Whether the listener has set itself up and waits for writes."""
    stacks = [each.stack() for each in listeners() if isinstance(each, ServiceThread)]
    return any("inotify.py" in stack and "bell.py" in stack for stack in stacks)


def test_who_ends_to_listen_takes_no_lock_from_the_process() -> None:
    """Closing a file that SQLite has locked would release all locks that the process has on it
    (sqlite.org/howtocorrupt.html, 2.2), and two processes would write at once.
    """
    rung = threading.Event()
    with store_for("default").atomic():
        Limit.objects.create(key="written")
        with store_for("default").listening(rung.set):
            until(is_heard)
        until(lambda: not listeners())
        assert another_process() == "database is locked"


def test_advice_on_the_settings_takes_no_lock_from_the_process_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Else the settings say it, and the file is not asked.
    monkeypatch.delitem(connections["default"].settings_dict["OPTIONS"], "init_command")
    with connection.cursor() as cursor:  # without a log, the locks are on the file itself
        cursor.execute("PRAGMA journal_mode=DELETE")
    with store_for("default").atomic():
        Limit.objects.create(key="written")
        assert "hosting.W110" in [each.id for each in advice_on("default")]
        assert another_process() == "database is locked"


def test_commits_are_told_of_again_and_again() -> None:
    for number in range(3):
        rung = threading.Event()
        with store_for("default").listening(rung.set):
            until(is_heard)
            with transaction.atomic():
                Limit.objects.create(key=f"{number}")
            assert rung.wait(20)
        until(lambda: not listeners())


def test_without_a_log_commits_are_told_of_beside_the_index_of_an_earlier_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Which a crash may leave behind, and which nobody counts in any more."""
    # Else whoever connects has it keep a log.
    monkeypatch.delitem(connections["default"].settings_dict["OPTIONS"], "init_command")
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode=DELETE")
    index = Path(f"{connections['default'].settings_dict['NAME']}-shm")
    index.write_bytes(bytes(32_768))
    rung: list[int] = []
    try:
        with store_for("default").listening(lambda: rung.append(len(rung)) or True):
            until(lambda: rung)  # it has begun to look
            before = len(rung)
            Limit.objects.create(key="written")
            until(lambda: len(rung) > before)
    finally:
        index.unlink()


class Files:
    """What SQLite writes to a log, and counts in its index, one step at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._log = path.with_name(f"{path.name}-wal")
        self._index = path.with_name(f"{path.name}-shm")
        self._log.write_bytes(b"")
        self._index.write_bytes(bytes(64))

    def write(self) -> None:
        with self._log.open("ab") as file:
            file.write(b"frame")

    def commit(self) -> None:  # as SQLite does: of memory, the system tells nobody
        with self._index.open("r+b") as file, mmap.mmap(file.fileno(), 64) as counters:
            counters[8] += 1


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    made = Files(tmp_path / "db")
    monkeypatch.setattr(watcher, "_path", lambda alias: made.path)
    return made


def test_a_commit_is_told_of_that_was_written_before_another_was_seen(files: Files) -> None:
    """Its write is heard of with the other's commit, and nothing tells of its own commit."""
    rung: list[int] = []

    def ring() -> bool:
        rung.append(len(rung))
        if len(rung) == 1:
            files.write()
            files.commit()
            files.write()
        elif len(rung) == 2:
            files.commit()
        return True

    with watcher.Watcher("default", ring):
        until(is_heard)
        files.write()
        files.commit()
        until(lambda: len(rung) == 3)
    until(lambda: not listeners())


def test_a_commit_is_told_of_whose_writer_was_held_up_after_the_write(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung = threading.Event()
    looked: list[bool] = []
    is_committed = watcher.Watcher._is_committed

    def look(*given: Any) -> bool:
        looked.append(is_committed(*given))
        return looked[-1]

    monkeypatch.setattr(watcher.Watcher, "_is_committed", look)
    with watcher.Watcher("default", lambda: rung.set() or True):
        until(is_heard)
        files.write()
        until(lambda: looked)
        files.commit()
        assert rung.wait(20)
    until(lambda: not listeners())
    assert looked[0] is False


@pytest.mark.parametrize("is_of_use", [True, False])
def test_many_commits_are_told_of_by_few_words(
    is_of_use: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "BUSY" if is_of_use else "IDLE", 60.0)
    rung: list[int] = []

    def ring() -> bool:
        rung.append(len(rung))
        return is_of_use

    with store_for("default").listening(ring):
        until(is_heard)
        for number in range(50):
            Limit.objects.create(key=f"{number}")
            until(lambda: rung)
    until(lambda: not listeners())

    assert rung == [0]


def test_a_few_files_are_opened_however_often_one_listens() -> None:
    def once() -> int:
        with store_for("default").listening(lambda: None):
            until(is_heard)
        until(lambda: not listeners())
        return len(list(Path("/proc/self/fd").iterdir()))

    first = once()
    assert [once() for _ in range(5)] == [first] * 5
