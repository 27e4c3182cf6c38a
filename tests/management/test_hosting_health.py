"""`manage.py hosting_health`: is the fleet, or one process, healthy."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from hosting import fleet
from hosting.fleet import STALE_AFTER
from hosting.models import HostProcess
from hosting.process import current
from hosting.process.probes import ProbeServer

PATH = "tests.projects.services"


@pytest.fixture(autouse=True)
def _services(settings: Any) -> None:
    settings.HOSTED_SERVICES = [
        f"{PATH}.Recorder",
        {"SERVICE": f"{PATH}.Second", "RUN_IN": ["worker"], "SINGLETON": True},
        {"SERVICE": f"{PATH}.Leaving", "ENABLED": False},
    ]


def health(*options: str) -> tuple[int, str]:
    """The exit code, and what was written."""
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("hosting_health", *options, stdout=out)
    return int(str(ended.value.code)), out.getvalue()


def a_copy(name: str, state: str = "running", **told: Any) -> dict[str, Any]:
    return {"name": name, "service": "a.B", "state": state, "ready": True, **told}


def a_process(pid: int, *copies: dict[str, Any], seen_at: Any = None) -> None:
    now = timezone.now()
    HostProcess.objects.create(
        id=f"elsewhere:{pid}",
        host_name="elsewhere",
        pid=pid,
        kind="worker",
        version="0",
        services=json.dumps(copies),
        started_at=now,
        seen_at=seen_at or now,
    )


@pytest.mark.django_db
class TestTheFleet:
    def test_where_all_that_is_declared_runs_all_is_well(self) -> None:
        a_process(1, a_copy("Recorder"), a_copy("Second", "standby"))
        a_process(2, a_copy("Recorder"), a_copy("Second"))
        assert health() == (0, "ok\n  seen: worker 1 on elsewhere\n  seen: worker 2 on elsewhere\n")

    def test_a_service_that_runs_nowhere_is_named(self) -> None:
        a_process(1, a_copy("Recorder", "stopped"), a_copy("Second"))
        code, text = health()
        assert code == 1
        assert text.splitlines()[:2] == ["failing", "  Recorder runs nowhere"]

    def test_so_is_one_for_which_all_processes_stand_by(self) -> None:
        a_process(1, a_copy("Recorder"), a_copy("Second", "standby"))
        code, text = health()
        assert code == 1
        assert "  Second runs nowhere: its processes stand by, and none has its lease" in text

    def test_so_is_one_that_is_not_healthy_with_its_process_and_the_reason(self) -> None:
        a_process(
            1,
            a_copy("Recorder", condition="stuck", reason="no sign of life for 9 s, allowed: 5 s"),
            a_copy("Second", "failed", condition="down", reason="has failed", last_error="E: x"),
        )
        code, text = health("--format", "json")
        assert code == 1
        assert json.loads(text) == {
            "status": "failing",
            "reasons": [
                "Recorder in worker 1 on elsewhere is stuck: no sign of life for 9 s, allowed: 5 s",
                "Second in worker 1 on elsewhere is down: has failed (E: x)",
            ],
            "processes": ["worker 1 on elsewhere"],
        }

    def test_a_row_of_an_earlier_version_is_understood(self) -> None:
        a_process(1, a_copy("Recorder", "restarting", last_error="E: x"), a_copy("Second"))
        code, text = health()
        assert code == 1
        assert "Recorder in worker 1 on elsewhere is down" in text

    def test_a_process_that_gives_no_sign_of_life_does_not_count(self) -> None:
        past = timezone.now() - STALE_AFTER - STALE_AFTER
        a_process(1, a_copy("Recorder"), a_copy("Second"), seen_at=past)
        code, text = health()
        assert code == 1
        assert text.splitlines() == ["failing", "  Recorder runs nowhere", "  Second runs nowhere"]

    def test_where_nothing_is_declared_nothing_is_missing(self, settings: Any) -> None:
        settings.HOSTED_SERVICES = []
        assert health() == (0, "ok\n")

    def test_wrong_settings_are_one_error_that_says_what(self, settings: Any) -> None:
        settings.HOSTED_SERVICES = ["nowhere.Service"]
        with pytest.raises(CommandError, match=r"^HOSTED_SERVICES\[0\] .*nowhere"):
            call_command("hosting_health")

    @pytest.mark.parametrize("trouble", [OperationalError, InterfaceError])
    def test_a_database_that_cannot_be_asked_is_a_reason(
        self, monkeypatch: pytest.MonkeyPatch, trouble: type[Exception]
    ) -> None:
        def fail() -> None:
            raise trouble("it is away")

        monkeypatch.setattr(fleet, "services", fail)
        reason = "the database cannot be asked (is hosting migrated?): it is away"
        assert health() == (1, f"failing\n  {reason}\n")
        code, text = health("--format", "json")
        assert code == 1
        assert json.loads(text) == {"status": "failing", "reasons": [reason], "processes": []}

    def test_a_database_that_does_not_answer_is_given_up(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        limits: list[float] = []
        within = fleet.within

        def noted(seconds: float) -> AbstractContextManager[None]:
            limits.append(seconds)
            return within(seconds)

        monkeypatch.setattr(fleet, "within", noted)
        health()
        assert limits == [5.0]


class Page(BaseHTTPRequestHandler):
    """A page that is no answer of hosting's."""

    def do_GET(self) -> None:
        self.send_response(302 if self.path == "/away" else 200)
        self.send_header("Location", "/login")
        self.end_headers()
        self.wfile.write(b"[]" if self.path == "/list" else b"<html>Log in</html>")

    def log_message(self, *args: Any) -> None:
        pass


class TestOneProcess:
    """No database is asked, which these tests may not use."""

    @pytest.fixture
    def url(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
        monkeypatch.setattr(current, "_host", None)
        monkeypatch.setattr(current, "_absence", (0, ""))
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        with ProbeServer("127.0.0.1:0") as server:
            yield server.url

    @pytest.fixture
    def elsewhere(self) -> Iterator[str]:
        with HTTPServer(("127.0.0.1", 0), Page) as server:
            thread = threading.Thread(target=lambda: server.serve_forever(0.01))
            thread.start()
            yield f"http://127.0.0.1:{server.server_address[1]}"
            server.shutdown()
            thread.join()

    def test_it_tells_what_the_process_answers(self, url: str) -> None:
        assert health("--url", f"{url}/health/live") == (0, "ok\n")
        reason = "its services have not started yet"
        assert health("--url", f"{url}/health/ready") == (1, f"failing\n  {reason}\n")
        code, text = health("--url", f"{url}/hosting/health/ready", "--format", "json")
        assert code == 1
        assert json.loads(text)["reasons"] == [reason]

    def test_a_process_that_does_not_answer_is_failing(self, url: str) -> None:
        code, text = health("--url", "http://127.0.0.1:1/health/live", "--timeout", "0.5")
        assert code == 1
        assert re.fullmatch(r"failing\n  no answer: .*refused.*\n", text)

    def test_one_that_answers_bit_by_bit_has_no_more_time(self) -> None:
        is_over = threading.Event()
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def drip() -> None:
                talker, _ = listener.accept()
                with talker, suppress(OSError):
                    talker.sendall(b"HTTP/1.0 200 OK\r\nX: ")
                    while not is_over.wait(0.02):
                        talker.sendall(b"x")

            thread = threading.Thread(target=drip)
            thread.start()
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            answer = health("--url", url, "--timeout", "0.2")
            is_over.set()
            thread.join()
        assert answer == (1, "failing\n  no answer within 0.2 s\n")

    @pytest.mark.parametrize("path", ["", "/list", "/away"])
    def test_a_page_that_is_no_answer_is_failing(self, elsewhere: str, path: str) -> None:
        status = 302 if path == "/away" else 200
        assert health("--url", elsewhere + path) == (
            1,
            f"failing\n  answered with status {status}, but not as hosting does\n",
        )

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (
                ["--url", ""],
                "--url is '', allowed: an address that begins with http:// or https://",
            ),
            (["--url", "file:///etc/passwd"], "--url is 'file:///etc/passwd', allowed: "),
            (["--url", "http://[::1/"], "--url is 'http://[::1/', allowed: "),
            (
                ["--url", "http://a/", "--timeout", "0"],
                "--timeout is 0, allowed: a number of seconds",
            ),
            (["--url", "http://a/", "--timeout", "nan"], "--timeout is nan, allowed: "),
            (["--timeout", "1"], "--timeout is for --url, and there is none."),
            (["--timeout", "soon"], "Error: argument --timeout: invalid float value: 'soon'"),
        ],
    )
    def test_bad_options_are_one_error(self, options: list[str], words: str) -> None:
        with pytest.raises(CommandError) as caught:
            call_command("hosting_health", *options)
        assert str(caught.value).startswith(words)
