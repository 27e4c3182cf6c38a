"""The page of the fleet, and what it asks of processes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from hosting import fleet, remote
from hosting.builder import build_host
from hosting.dashboard import processes
from hosting.host import Host
from hosting.models import HostProcess, ServiceCommand
from tests.dashboard.conftest import shown, told
from tests.host.helpers import assert_no_threads_left, status, until

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = reverse("admin:hosting_hostprocess_changelist")
ACT = reverse("admin:hosting_hostprocess_act")
EVERY = ["ticker", "single", "TaskWorker", "Scheduler", "QueuedHostedService"]
TICKER = "messages_app.services.TimedHostedService"


def process(name: str = "host:1:ab", seen: float = 0, **services: Any) -> HostProcess:
    """A row as a process writes it, so many seconds ago."""
    statuses = [{"name": each, "state": "running", **more} for each, more in services.items()]
    row = HostProcess.objects.create(
        id=name,
        host_name="host",
        pid=1,
        kind="worker",
        version="1",
        services=json.dumps(statuses),
        started_at=Now(),
        seen_at=Now(),
    )
    moment = timezone.now() - timedelta(seconds=seen)
    HostProcess.objects.filter(pk=name).update(seen_at=moment)
    return row


def test_what_is_the_matter_with_a_service_that_runs_is_shown(client: Client) -> None:
    process(
        mailer={"condition": "degraded", "reason": "the relay <b> is away"},
        healthy={"condition": "healthy", "reason": ""},
        old={},
    )
    page = client.get(PAGE)
    assert "degraded: the relay &lt;b&gt; is away" in page.content.decode()
    assert "healthy:" not in shown(page)


def ask(client: Client, action: str, service: str = "mailer", name: str = "host:1:ab") -> Any:
    values = {"action": action, "service": service, "process": name}
    return client.post(ACT, values, follow=True)


def offered(response: Any) -> list[str]:
    """What can be done, and with which service."""
    return re.findall(r'aria-label="((?:Start|Stop|Restart) [^"]+)"', response.content.decode())


class TestPage:
    def test_services_are_shown_with_what_they_tell(self, client: Client) -> None:
        process(
            mailer={
                "state": "restarting",
                "since": (timezone.now() - timedelta(minutes=5)).isoformat(),
                "ready": False,
                "restarts": 3,
                "last_error": "OSError: <gone>",
                "facts": {"lease_token": 17, "sent": 4},
            },
        )
        page = client.get(PAGE)
        text = shown(page)
        for words in ("host worker 1", "restarting", "5 min ago", "3 17 OSError", "sent: 4"):
            assert words in text
        assert "<gone>" not in page.content.decode()
        assert offered(page) == ["Restart mailer", "Stop mailer"]

    def test_one_that_died_is_told_of_and_asked_nothing(self, client: Client) -> None:
        process(seen=45, mailer={})
        page = client.get(PAGE)
        assert "host worker 1 dead" in shown(page)
        assert offered(page) == []

    def test_what_is_stopped_can_be_started_and_the_hosts_own_cannot(self, client: Client) -> None:
        process(mailer={"state": "stopped"}, **{"hosting:leases": {}})
        assert offered(client.get(PAGE)) == ["Start mailer"]

    def test_a_damaged_row_is_shown_without_services(self, client: Client) -> None:
        row = process()
        for text in ("{", "{}", "[3]", "[" * 100_000):
            HostProcess.objects.filter(pk=row.pk).update(services=text)
            assert "It tells of no services." in shown(client.get(PAGE))

    @pytest.mark.parametrize(
        "damage",
        [
            {"facts": ["a list"]},
            {"since": "2026-13-45T00:00:00+00:00"},
            {"since": "2026-01-01T00:00:00"},
        ],
    )
    def test_a_damaged_service_is_shown_without_what_is_damaged(
        self, client: Client, damage: dict[str, Any]
    ) -> None:
        process(mailer=damage)
        assert "mailer log running" in shown(client.get(PAGE))

    def test_errors_may_have_halves_of_surrogate_pairs(self, client: Client) -> None:
        process(mailer={"last_error": "OSError: no \udcff.txt"})
        assert "no \\udcff.txt" in shown(client.get(PAGE))

    def test_numbers_are_as_they_are(self, client: Client, settings: Any) -> None:
        settings.USE_THOUSAND_SEPARATOR = True
        process(mailer={"facts": {"lease_token": 12345}})
        HostProcess.objects.update(pid=4194304)
        text = shown(client.get(PAGE))
        assert "worker 4194304" in text
        assert "12345" in text


class TestAsking:
    def test_what_is_asked_is_written_down_and_shown(self, client: Client) -> None:
        row = process(mailer={})
        [words] = told(ask(client, "restart"))
        assert words == "Restart of mailer is asked for: worker 1 on host does it in a moment."
        command = ServiceCommand.objects.get()
        assert (command.process, command.action, command.requested_by) == (
            row.pk,
            "restart",
            "root",
        )
        entry = LogEntry.objects.get()
        assert (entry.object_id, entry.get_change_message()) == (
            row.pk,
            "Restart of mailer asked for in the dashboard.",
        )
        assert "restart asked for, root now" in shown(client.get(PAGE))
        ServiceCommand.objects.update(taken_at=Now(), done_at=Now(), outcome="<b>no</b>")
        assert "restart failed: &lt;b&gt;no" in shown(client.get(PAGE))

    def test_what_was_asked_last_is_shown_however_much_was_asked(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(processes, "MOST", 1)
        process(mailer={})
        for action in ["stop"] * 6 + ["start"]:
            remote.ask("host:1:ab", "mailer", action, "root")
        assert "start asked for" in shown(client.get(PAGE))

    @pytest.mark.parametrize(("service", "name"), [("other", "host:1:ab"), ("mailer", "gone")])
    def test_what_is_not_there_is_said(self, client: Client, service: str, name: str) -> None:
        process(mailer={})
        [words] = told(ask(client, "stop", service, name))
        assert words == f"There is no service '{service}' in '{name}' any more."
        assert not ServiceCommand.objects.exists()

    def test_another_action_is_refused(self, client: Client) -> None:
        process(mailer={})
        for action in ("", "halt", "kill"):
            assert ask(client, action).status_code == 403

    def test_who_may_look_may_ask_nothing(self, staff: Callable[..., Client]) -> None:
        process(mailer={})
        reader = staff("view_hostprocess")
        assert offered(reader.get(PAGE)) == []
        assert ask(reader, "stop").status_code == 403
        assert not ServiceCommand.objects.exists()

    def test_who_may_nothing_sees_nothing(self, staff: Callable[..., Client]) -> None:
        process(mailer={})
        stranger = staff("view_job", "change_job")
        assert stranger.get(PAGE).status_code == 403
        assert ask(stranger, "stop").status_code == 403

    def test_a_form_of_another_site_is_refused(self, staff: Callable[..., Client]) -> None:
        process(mailer={})
        client = staff("change_hostprocess", enforce_csrf_checks=True)
        assert ask(client, "stop").status_code == 403
        assert client.get(ACT).status_code == 405
        assert not ServiceCommand.objects.exists()


class TestDoing:
    @pytest.fixture
    def host(self, settings: Any) -> Iterator[Host]:
        settings.HOSTED_SERVICES = [
            {"SERVICE": TICKER, "NAME": "ticker"},
            {"SERVICE": TICKER, "NAME": "single", "SINGLETON": True},
            "hosting.TaskWorker",
            "hosting.Scheduler",
            "hosting.QueuedHostedService",
        ]
        with build_host("worker") as host:
            yield host
        assert_no_threads_left()

    @pytest.mark.parametrize(
        "name", ["ticker", "single", "TaskWorker", "Scheduler", "QueuedHostedService"]
    )
    def test_each_service_is_stopped_started_and_restarted(
        self, client: Client, host: Host, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fleet, "GLANCE", 0.02)
        until(lambda: HostProcess.objects.exclude(services="[]").exists())
        client.get(PAGE)
        host._services[0].service._wake_up.cancel()  # the next beat notices that somebody looks
        key = HostProcess.objects.get().pk
        for action, state in (("stop", "stopped"), ("start", "running"), ("restart", "running")):
            ask(client, action, name, key)
            until(lambda: not ServiceCommand.objects.filter(done_at=None))
            until(lambda state=state: status(host, name).state == state)
        assert {row.outcome for row in ServiceCommand.objects.all()} == {""}
        assert {each.state for each in host.services()} == {"running"}

    def test_where_nobody_asks_a_beat_is_one_statement(self, client: Client) -> None:
        reporter = fleet.FleetReporter("worker", list, remote.Remote(lambda: None))
        reporter._renew()
        with CaptureQueriesContext(connection) as queries:
            reporter._renew()
        assert (len(queries), reporter._heeds) == (1, False)
        client.get(PAGE)
        reporter._renew()
        assert reporter._heeds

    def test_what_goes_wrong_is_written_down(self, host: Host) -> None:
        command = remote.ask("p", "nobody", "restart", "root")
        remote.Remote(lambda: host).heed("p")
        until(lambda: ServiceCommand.objects.filter(pk=command.pk, done_at__isnull=False))
        command.refresh_from_db()
        assert command.outcome.startswith("No service 'nobody' can be stopped or started here")

    def test_what_goes_wrong_is_written_down_whatever_it_says(self) -> None:
        class Broken:
            def halt(self, name: str) -> list[Exception]:
                return [OSError("no \udcff\0.txt")]

        first, second = (remote.ask("p", "mailer", "stop", "root") for _ in range(2))
        remote.Remote(Broken).heed("p")
        until(lambda: not ServiceCommand.objects.filter(done_at=None))
        for command in (first, second):
            command.refresh_from_db()
            assert command.outcome == "no \\udcff\\x00.txt"

    def test_nothing_is_done_twice_and_old_commands_are_forgotten(self, host: Host) -> None:
        command = remote.ask("p", "ticker", "stop", "root")
        steering = remote.Remote(lambda: host)
        steering.heed("p")
        until(lambda: ServiceCommand.objects.filter(pk=command.pk, done_at__isnull=False))
        host.resume("ticker")
        steering.heed("p")
        assert status(host, "ticker").state == "running"
        ServiceCommand.objects.update(requested_at=timezone.now() - timedelta(days=2))
        remote.prune()
        assert not ServiceCommand.objects.exists()
