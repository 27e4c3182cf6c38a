"""`manage.py hosted_services --watch`: a picture every second, on a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import termios
import threading
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from hosting.management import watching
from hosting.management.commands.hosted_services import _picture
from hosting.models import HostProcess


class Terminal:
    """Both ends of a pseudo-terminal: what is drawn on it, and keys that are pressed."""

    def __init__(self) -> None:
        self.ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (6, 40))
        self.stream = os.fdopen(theirs, "r+b", buffering=0)
        self.text = open(theirs, "w", closefd=False)  # noqa: SIM115 - closed below
        self.drawn = b""

    def read_until(self, part: bytes) -> None:
        while part not in self.drawn:
            self.drawn += os.read(self.ours, 4096)

    def settings(self) -> Any:
        return termios.tcgetattr(self.stream.fileno())

    def close(self) -> None:
        self.text.close()
        self.stream.close()
        os.close(self.ours)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    yield made
    made.close()


@pytest.fixture
def viewer(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Watches on a thread; the pictures follow each other at once."""
    monkeypatch.setattr(watching, "REFRESH", 0.01)
    threads: list[threading.Thread] = []

    def view(lines: Callable[[int], list[str]]) -> threading.Thread:
        arguments: Any = (lines, terminal.stream, terminal.text)
        threads.append(threading.Thread(target=watching.watch, args=arguments, daemon=True))
        threads[-1].start()
        return threads[-1]

    yield view
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def counting() -> Callable[[int], list[str]]:
    numbers = iter(range(10**6))
    return lambda _: [f"picture {next(numbers)}", "x" * 100, *["line"] * 10, "the end"]


def test_pictures_follow_each_other_until_q(terminal: Terminal, viewer: Any) -> None:
    before = terminal.settings()
    thread = viewer(counting())

    terminal.read_until(b"picture 2")
    os.write(terminal.ours, b"x")
    terminal.read_until(b"picture 9")
    os.write(terminal.ours, b"q")
    terminal.read_until(b"\x1b[?1049l")

    thread.join(20)
    assert terminal.settings() == before


def test_a_picture_is_no_larger_than_the_terminal(terminal: Terminal, viewer: Any) -> None:
    viewer(counting())
    terminal.read_until(b"picture 1")
    os.write(terminal.ours, b"q")
    terminal.read_until(b"\x1b[?1049l")

    first = terminal.drawn.partition(b"\x1b[J")[0]
    assert first.count(b"\r\n") == 5
    assert first.count(b"x") == 40
    assert b"the end" in first


@pytest.mark.django_db
@pytest.mark.parametrize("error", [KeyboardInterrupt, LookupError])
def test_the_terminal_is_put_back_whatever_happens(terminal: Terminal, error: Any) -> None:
    before = terminal.settings()

    def lines(columns: int) -> list[str]:
        raise error

    arguments: Any = (lines, terminal.stream, terminal.text)
    if error is KeyboardInterrupt:
        watching.watch(*arguments)
    else:
        with pytest.raises(error):
            watching.watch(*arguments)

    terminal.read_until(b"\x1b[?25h\x1b[?1049l")
    assert terminal.settings() == before


@pytest.mark.django_db
def test_sigterm_ends_it_and_puts_the_terminal_back(terminal: Terminal) -> None:
    before, handler = terminal.settings(), signal.getsignal(signal.SIGTERM)

    def lines(columns: int) -> list[str]:
        os.kill(os.getpid(), signal.SIGTERM)
        return []

    arguments: Any = (lines, terminal.stream, terminal.text)
    with pytest.raises(SystemExit) as caught:
        watching.watch(*arguments)

    assert caught.value.code == 143
    terminal.read_until(b"\x1b[?25h\x1b[?1049l")
    assert terminal.settings() == before
    assert signal.getsignal(signal.SIGTERM) == handler


class TestWidth:
    """What the view is for, where each service runs now, is there however narrow it is."""

    NAMES = ("one", "two")
    COPIES = tuple(f"running in worker {pid} on web-1" for pid in (1, 2))

    @pytest.fixture(autouse=True)
    def _fleet(self, db: None, settings: Any) -> None:
        service = "tests.projects.services.Recorder"
        settings.HOSTED_SERVICES = [{"SERVICE": service, "NAME": name} for name in self.NAMES]
        now = timezone.now()
        told = [
            {"name": "one", "state": "running", "condition": "healthy", "reason": "", "beat": None}
        ]
        for pid in (1, 2):
            HostProcess.objects.create(
                id=str(pid),
                host_name="web-1",
                pid=pid,
                kind="worker",
                version="0",
                services=json.dumps(told),
                started_at=now,
                seen_at=now,
            )

    def test_wide(self) -> None:
        assert re.split(r"  +", _picture(200)[1])[3:] == ["on-failure", ", ".join(self.COPIES)]

    def test_narrower(self) -> None:
        assert [re.split(r"  +", line) for line in _picture(80)[:4]] == [
            ["NAME", "RUNNING NOW"],
            ["one", self.COPIES[0]],
            ["", self.COPIES[1]],
            ["two", "nowhere"],
        ]

    def test_narrow(self) -> None:
        lines = _picture(33)
        assert lines[:3] == ["one", *(f"  {copy}" for copy in self.COPIES)]
        assert lines[3:5] == ["two", "  nowhere"]
        assert lines[-1].endswith("q quits")


@pytest.mark.django_db
def test_without_a_terminal_it_is_shown_once(settings: Any) -> None:
    settings.HOSTED_SERVICES = ["tests.projects.services.Recorder"]
    out = StringIO()

    call_command("hosted_services", "--watch", stdout=out)

    assert out.getvalue().count("NAME ") == 1
    assert "\x1b" not in out.getvalue()


@pytest.mark.django_db
def test_on_a_terminal_the_fleet_is_shown(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.HOSTED_SERVICES = ["tests.projects.services.Recorder"]
    monkeypatch.setattr("sys.stdin", terminal.stream)

    def press_q() -> None:
        terminal.read_until(b"q quits")
        os.write(terminal.ours, b"q")

    thread = threading.Thread(target=press_q, daemon=True)
    thread.start()
    call_command("hosted_services", "--watch", stdout=terminal.text)

    thread.join(20)
    terminal.read_until(b"\x1b[?1049l")
    assert b"Recorder" in terminal.drawn
    assert b"q quits" in terminal.drawn


@pytest.mark.parametrize("other", [["--explain"], ["--format", "json"]])
def test_it_excludes(other: list[str]) -> None:
    with pytest.raises(CommandError, match="--watch excludes"):
        call_command("hosted_services", "--watch", *other)
