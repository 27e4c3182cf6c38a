"""The page, as a browser without JavaScript sees it."""

import html
import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from hosting import background_tasks
from hosting.models import HostProcess, Job
from messages_app import tasks
from messages_app.models import AddedTask, AddedTaskQuerySet, Message
from messages_app.tasks import write_messages

pytestmark = pytest.mark.django_db

TASK = {"queue": "database", "steps": "3", "delay": "5"}


def text_of(response: Any, element: str = "body") -> str:
    """The text in the first element that begins like this, without markup and line breaks."""
    content = response.content.decode()
    name = re.split(r"[ >]", element)[0]
    inner = content.partition(f"<{element}")[2].partition(f"</{name}>")[0]
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", f"<{inner}")).split())


def items_of(response: Any) -> list[str]:
    inner = response.content.decode().partition('<ol id="messages"')[2].partition("</ol>")[0]
    return [html.unescape(text) for text in re.findall(r"<li[^>]*>(.*?)</li>", inner)]


def service(class_name: str, **values: Any) -> dict[str, Any]:
    return {
        "name": class_name,
        "service": f"somewhere.{class_name}",
        "state": "running",
        "since": timezone.now().isoformat(),
        "ready": True,
        "restarts": 0,
        "last_error": None,
        "facts": {},
        **values,
    }


def process(kind: str, pid: int, services: Sequence[dict[str, Any]]) -> None:
    HostProcess.objects.create(
        id=f"machine:{pid}",
        host_name="machine",
        pid=pid,
        kind=kind,
        version="1",
        services=json.dumps(services),
        started_at=Now(),
        seen_at=Now(),
    )


def add_message(n: int, task_id: str = "t") -> None:
    Message.objects.create(text=f"message {n}", task_id=task_id, step=n)


class TestPage:
    def test_it_has_a_title_three_panels_the_form_and_the_messages(self, client: Client) -> None:
        response = client.get("/")
        content = response.content.decode()

        assert response.status_code == 200
        assert "<title>Background Tasks Sample</title>" in content
        for panel in ("timed", "scoped", "queued"):
            assert f'<section id="{panel}"' in content
        assert re.search(r"<button[^>]*>Add Task</button>", content)
        assert "csrfmiddlewaretoken" in content
        assert '<ol id="messages"' in content
        assert re.search(r'<a id="refresh" href="/">Refresh</a>', content)

    def test_every_input_has_a_label(self, client: Client) -> None:
        content = client.get("/").content.decode()

        for name in ("queue", "steps", "delay"):
            assert f'<label for="id_{name}">' in content
            assert f'id="id_{name}"' in content

    def test_nothing_in_it_needs_a_lax_content_security_policy(self, client: Client) -> None:
        content = client.get("/").content.decode()

        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|https?://", content)
        assert all("src=" in script for script in re.findall(r"<script[^>]*>", content))

    def test_it_is_never_cached(self, client: Client) -> None:
        assert "no-store" in client.get("/").headers["Cache-Control"]
        assert "no-store" in client.get("/state").headers["Cache-Control"]

    def test_other_methods_are_refused(self, client: Client) -> None:
        assert client.put("/").status_code == 405
        assert client.post("/state").status_code == 405
        assert client.head("/").status_code == 200

    def test_it_asks_the_database_little(
        self, client: Client, django_assert_max_num_queries: Any
    ) -> None:
        for n in range(50):
            add_message(n)
            AddedTask.objects.create(id=str(n), queue="database", steps=3, delay=5)
        process("web", 1, [service("TimedHostedService"), service("TaskWorker")])
        process("worker", 2, [service("TimedHostedService"), service("TaskWorker")])

        with django_assert_max_num_queries(4):
            client.get("/")
        with django_assert_max_num_queries(4):
            client.get("/state")


class TestPanels:
    @pytest.mark.parametrize("panel", ["timed", "scoped", "queued"])
    def test_without_processes_they_say_so(self, client: Client, panel: str) -> None:
        text = text_of(client.get("/"), f'section id="{panel}"')

        assert "not running in any process" in text

    def test_each_says_what_its_service_does(self, client: Client) -> None:
        response = client.get("/")

        assert "every 5 seconds" in text_of(response, 'section id="timed"')
        assert "scope every 10 seconds" in text_of(response, 'section id="scoped"')
        queued = text_of(response, 'section id="queued"')
        assert "QueuedHostedService" in queued
        assert "TaskWorker" in queued

    def test_a_service_shows_its_state_its_process_and_its_facts(self, client: Client) -> None:
        facts = {"count": 37, "failures": 0, "last": timezone.now().isoformat()}
        process("web", 4711, [service("TimedHostedService", restarts=2, facts=facts)])

        text = text_of(client.get("/"), 'section id="timed"')

        assert "running for 0 s" in text
        assert "web process 4711 on machine" in text
        assert "ticks 37" in text
        assert "last tick 0 s ago" in text
        assert "restarts 2" in text
        assert "failed" not in text
        assert "not running" not in text

    def test_a_service_shows_each_of_its_copies(self, client: Client) -> None:
        process("web", 1, [service("ScopedHostedService")])
        process("worker", 2, [service("ScopedHostedService", name="second")])

        text = text_of(client.get("/"), 'section id="scoped"')

        assert "web process 1" in text
        assert "second in worker process 2" in text

    def test_a_service_before_its_first_tick_shows_too(self, client: Client) -> None:
        facts = {"count": 0, "failures": 0, "last": None}
        process("web", 1, [service("TimedHostedService", facts=facts)])

        assert "last tick none yet" in text_of(client.get("/"), 'section id="timed"')

    def test_trouble_shows(self, client: Client) -> None:
        worker = service(
            "TaskWorker",
            state="restarting",
            last_error="OperationalError: <locked>",
            facts={"running": 1, "executed": 5, "failed": 3},
        )
        process("worker", 2, [worker])

        text = text_of(client.get("/"), 'section id="queued"')

        assert "restarting" in text
        assert "OperationalError: <locked>" in text
        assert "failed 3" in text

    def test_what_is_the_matter_with_a_service_that_runs_shows(self, client: Client) -> None:
        worker = service("TaskWorker", condition="stuck", reason="no sign of life for <70> s")
        process("worker", 2, [worker])

        text = text_of(client.get("/"), 'section id="queued"')

        assert "stuck: no sign of life for <70> s" in text


class TestMessages:
    def test_the_newest_is_last(self, client: Client) -> None:
        add_message(1)
        add_message(2)

        assert items_of(client.get("/")) == ["message 1", "message 2"]

    def test_only_the_latest_200_are_shown_and_the_page_says_so(self, client: Client) -> None:
        for n in range(200):
            add_message(n)
        assert "Only the latest" not in text_of(client.get("/"))
        add_message(200)

        response = client.get("/")

        assert items_of(response) == [f"message {n}" for n in range(1, 201)]
        assert "Only the latest 200 are shown." in text_of(response)


class TestTasks:
    def test_the_progress_of_a_running_task_shows(self, client: Client) -> None:
        AddedTask.objects.create(
            id="abc", queue="memory", steps=3, delay=5, step=2, state="running"
        )

        response = client.get("/")

        assert '<progress max="3" value="2"' in response.content.decode()
        assert "abc 2/3 running 2/3 steps, memory queue" in text_of(response, 'section id="tasks"')

    def test_a_finished_task_shows_its_end(self, client: Client) -> None:
        AddedTask.objects.create(
            id="abc", queue="memory", steps=3, delay=5, state="lost", finished_at=timezone.now()
        )

        response = client.get("/")

        assert "<progress" not in response.content.decode()
        assert "lost with its process" in text_of(response, 'section id="tasks"')

    def test_the_oldest_unfinished_ones_are_shown(self, client: Client) -> None:
        for n in range(21):
            AddedTask.objects.create(id=f"task-{n:02}", queue="memory", steps=3, delay=5)

        text = text_of(client.get("/"), 'section id="tasks"')

        assert "task-00" in text
        assert "task-20" not in text
        assert "the 20 oldest are shown" in text

    def test_a_task_that_ends_while_the_page_is_made_is_shown_once(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        AddedTask.objects.create(id="abc", queue="memory", steps=3, delay=0, state="running")
        finished = AddedTaskQuerySet.finished

        def finished_by_now(tasks: AddedTaskQuerySet) -> AddedTaskQuerySet:
            AddedTask.objects.update(state="done", finished_at=timezone.now())
            return finished(tasks)

        monkeypatch.setattr(AddedTaskQuerySet, "finished", finished_by_now)

        assert client.get("/").content.decode().count('id="task-abc"') == 1
        assert client.get("/").content.decode().count('id="task-abc"') == 1


class TestAddTask:
    def test_a_job_is_enqueued_and_the_browser_redirected(self, client: Client) -> None:
        response = client.post("/", TASK)

        assert (response.status_code, response.headers["Location"]) == (302, "/")
        added = AddedTask.objects.get()
        assert write_messages.get_result(added.id).args == [3, 5.0]
        assert added.id in text_of(client.get("/"), 'section id="tasks"')

    @pytest.mark.usefixtures("consumer")
    def test_a_work_item_is_enqueued_and_the_browser_redirected(self, client: Client) -> None:
        response = client.post("/", {**TASK, "queue": "memory"})

        assert (response.status_code, response.headers["Location"]) == (302, "/")
        assert len(background_tasks) == 1

    def test_memory_without_a_consumer_is_refused_with_the_reason(self, client: Client) -> None:
        assert "Only the database queue is available" in text_of(client.get("/"))

        response = client.post("/", {**TASK, "queue": "memory"})

        self._assert_refused(response, "hosts no QueuedHostedService that would execute the task")

    @pytest.mark.usefixtures("consumer")
    def test_a_full_queue_is_an_error_of_the_form(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tasks, "ROOM_TIMEOUT", 0)
        for _ in range(background_tasks.capacity):
            background_tasks.enqueue(lambda token: None, timeout=0)

        response = client.post("/", {**TASK, "queue": "memory"})

        assert response.status_code == 200
        assert "The memory queue is full" in text_of(response, "form")
        assert not AddedTask.objects.exists()

    @pytest.mark.parametrize(
        ("field", "value"),
        [("queue", "redis"), ("steps", "21"), ("steps", "x"), ("delay", "-1"), ("delay", "nan")],
    )
    def test_bad_values_are_shown_with_the_reason(
        self, client: Client, field: str, value: str
    ) -> None:
        response = client.post("/", {**TASK, field: value})

        self._assert_refused(response, f"“{value}” is not allowed")
        assert 'aria-invalid="true"' in response.content.decode()

    def test_what_was_typed_stays(self, client: Client) -> None:
        response = client.post("/", {"queue": "database", "steps": "21", "delay": "7.5"})

        assert 'value="21"' in response.content.decode()
        assert 'value="7.5"' in response.content.decode()

    def test_markup_in_a_value_stays_text(self, client: Client) -> None:
        response = client.post("/", {**TASK, "steps": "<script>alert(1)</script>"})

        assert "<script>alert" not in response.content.decode()

    def test_a_form_of_another_site_is_refused(self) -> None:
        response = Client(enforce_csrf_checks=True).post("/", TASK)

        assert response.status_code == 403
        assert not AddedTask.objects.exists()

    def _assert_refused(self, response: Any, reason: str) -> None:
        assert response.status_code == 200
        assert reason in text_of(response, "form")
        assert not AddedTask.objects.exists()
        assert not len(background_tasks)
        assert not Job.objects.exists()


def test_the_state_is_what_changes_on_the_page(client: Client) -> None:
    add_message(1)
    process("web", 4711, [service("TimedHostedService")])

    response = client.get("/state")

    assert items_of(response) == ["message 1"]
    assert "process 4711" in text_of(response, 'section id="timed"')
    assert "<form" not in response.content.decode()
    page = client.get("/").content.decode()
    for part in re.findall(r'<\w+ id="([^"]+)"[^>]* data-live>', response.content.decode()):
        assert f'id="{part}"' in page
