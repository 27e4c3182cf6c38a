"""Schedules in the admin, as a user of Django's test client sees them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connections
from django.db.models import Model
from django.db.models.signals import pre_save
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from hosting import admin, task
from hosting.models import Job, Schedule
from hosting.queues.scheduling.keeper import Keeper
from hosting.queues.stores import store_for
from tests.queues.scheduling.conftest import TASKS, make_schedule

pytestmark = pytest.mark.django_db

LIST = reverse("admin:hosting_schedule_changelist")
ADD = reverse("admin:hosting_schedule_add")

NIGHTLY = {
    "name": "nightly",
    "task_path": f"{TASKS}.add",
    "cron": "0 3 * * *",
    "interval": "",
    "time_zone": "Europe/Berlin",
    "args": "[1]",
    "kwargs": '{"b": 2}',
    "queue_name": "",
    "priority": "",
    "missed": "once",
}


def change(name: str) -> str:
    return reverse("admin:hosting_schedule_change", args=[name])


def delete(name: str) -> str:
    return reverse("admin:hosting_schedule_delete", args=[name])


@pytest.fixture
def client() -> Client:
    """Of a user who may do everything."""
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def errors(response: Any) -> dict[str, list[str]]:
    assert response.status_code == 200
    return dict(response.context["adminform"].form.errors)


def act(client: Client, action: str, *names: str) -> list[str]:
    """Do this with the schedules of these names; what the page then says."""
    data = {"action": action, "_selected_action": names}
    response = client.post(LIST, data, follow=True)
    return [str(message) for message in response.context["messages"]]


def shown(response: Any) -> str:
    """The text of a page, without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", response.content.decode()))


class TestAdding:
    def test_a_schedule_counts_from_now(self, client: Client) -> None:
        assert client.post(ADD, NIGHTLY).status_code == 302
        row = Schedule.objects.get()
        assert (row.name, row.task_path, row.cron) == ("nightly", f"{TASKS}.add", "0 3 * * *")
        assert (row.interval, row.queue_name, row.priority) == (None, "", None)
        assert (row.is_declared, row.is_paused) == (False, False)
        assert row.since == row.handled_until
        assert abs(row.since - timezone.now()) < timedelta(minutes=1)

    @pytest.mark.parametrize(
        ("field", "value", "words"),
        [
            ("cron", "99 * * * *", "cron is '99 * * * *', allowed: five fields"),
            ("cron", "", "exactly one of cron and interval is needed, found neither"),
            ("interval", "5", "exactly one of cron and interval is needed, found both"),
            ("task_path", f"{TASKS}.ad", f"did you mean '{TASKS}.add'?"),
            ("task_path", "nowhere.task", "task is 'nowhere.task', allowed: the dotted path"),
            ("time_zone", "Europe/Belin", "did you mean 'Europe/Berlin'?"),
            ("args", "[1", "args is '[1', allowed: a JSON list"),
            ("args", "[1, 2, 3]", "allowed: those of add(a: int, b: int = 0)"),
            ("kwargs", "[]", "kwargs is '[]', allowed: a JSON object"),
            ("priority", "200", "priority is 200, allowed: a whole number from -100 to 100"),
            ("name", "a b", "The name is 'a b', allowed: 1 to 64 letters"),
            ("name", "prune-messages", "which HOSTING['SCHEDULE'] has, allowed: another one"),
        ],
    )
    def test_each_mistake_is_said_at_its_field(
        self, client: Client, field: str, value: str, words: str
    ) -> None:
        found = errors(client.post(ADD, {**NIGHTLY, field: value}))
        at = "cron" if "exactly one" in words else field
        assert found.keys() == {at}
        assert words in found[at][0]
        assert Schedule.objects.count() == 0

    def test_a_name_that_is_taken_is_refused(self, client: Client) -> None:
        make_schedule("nightly")
        assert "already exists" in errors(client.post(ADD, NIGHTLY))["name"][0]


class TestChanging:
    def test_a_change_counts_from_now(self, client: Client) -> None:
        make_schedule("nightly", ago=90_000)
        assert client.post(change("nightly"), {**NIGHTLY, "cron": "0 4 * * *"}).status_code == 302
        row = Schedule.objects.get()
        assert (row.cron, row.interval) == ("0 4 * * *", None)
        assert row.since == row.handled_until > timezone.now() - timedelta(minutes=1)

    def test_a_mark_that_is_moved_meanwhile_stays(self, client: Client) -> None:
        """A scheduler works on while a form is saved."""
        row = make_schedule(ago=3602)
        form = client.get(change("regular")).context["adminform"].form
        data = {key: "" if value is None else value for key, value in form.initial.items()}

        def work(**_: Any) -> None:
            Keeper("scheduler", store_for("default"), (), ()).round()

        pre_save.connect(work, sender=Schedule)
        try:
            assert client.post(change("regular"), {**data, "is_paused": "on"}).status_code == 302
        finally:
            pre_save.disconnect(work, sender=Schedule)
        saved = Schedule.objects.get()
        assert (saved.is_paused, saved.handled_until) == (True, row.since + timedelta(hours=1))

    def test_what_fell_due_during_a_pause_is_not_made_up_for(self, client: Client) -> None:
        make_schedule(ago=9000, is_paused=True)
        form = client.get(change("regular")).context["adminform"].form
        data = {key: "" if value is None else value for key, value in form.initial.items()}
        del data["is_paused"]
        assert client.post(change("regular"), data).status_code == 302
        row = Schedule.objects.get()
        assert not row.is_paused
        assert row.handled_until > row.since + timedelta(seconds=8900)

    def test_one_of_the_settings_can_only_be_paused(self, client: Client) -> None:
        make_schedule("nightly", is_declared=True)
        response = client.get(change("nightly"))
        assert list(response.context["adminform"].form.fields) == ["is_paused"]
        data = {**NIGHTLY, "cron": "0 5 * * *", "is_paused": "on"}
        assert client.post(change("nightly"), data).status_code == 302
        row = Schedule.objects.get()
        assert (row.is_paused, row.cron, row.interval) == (True, "", 3600)

    def test_one_of_the_settings_cannot_be_deleted(self, client: Client) -> None:
        make_schedule("declared", is_declared=True)
        make_schedule("mine")
        assert client.post(delete("declared"), {"post": "yes"}).status_code == 403
        assert client.post(delete("mine"), {"post": "yes"}).status_code == 302
        data = {"action": "delete_selected", "_selected_action": ["declared"], "post": "yes"}
        client.post(LIST, data)
        assert [row.name for row in Schedule.objects.all()] == ["declared"]


class TestList:
    def test_it_shows_when_each_runs(self, client: Client) -> None:
        make_schedule("hourly", ago=60)
        make_schedule("broken", task_path=f"{TASKS}.gone")
        make_schedule("resting", cron="0 3 * * *", is_paused=True)
        act(client, "run_now", "hourly")
        text = shown(client.get(LIST))
        assert "every 1 h" in text
        assert re.search(r"UTC, in 5[89] min \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, (now|\d+ s)", text)
        assert "at 03:00 every day (UTC) never: it is paused never" in text
        assert "gone&#x27;, allowed: the dotted path of a task" in text

    def test_schedules_are_paused_and_resumed(self, client: Client) -> None:
        make_schedule("a")
        make_schedule("b", is_declared=True)
        assert act(client, "pause", "a", "b") == ["Paused: 2."]
        assert Schedule.objects.filter(is_paused=True).count() == 2
        assert act(client, "resume", "a") == ["Resumed: 1."]
        assert Schedule.objects.get(name="b").is_paused

    def test_each_action_is_in_the_log(self, client: Client) -> None:
        make_schedule("a", task_path=f"{TASKS}.add", args="[1]")
        for action in ("pause", "pause", "resume", "run_now"):
            act(client, action, "a")
        told = [entry.get_change_message() for entry in LogEntry.objects.order_by("id")]
        job = Job.objects.get().id
        assert told == [
            "Paused in the list.",
            "Resumed in the list.",
            f"Run in the list, as job {job}.",
        ]
        page = client.get(LIST).content.decode()
        assert f'href="{reverse("admin:hosting_job_change", args=[job])}"' in page

    def test_schedules_are_run_now(self, client: Client) -> None:
        make_schedule("good", task_path=f"{TASKS}.add", args="[1]")
        make_schedule("bad", task_path=f"{TASKS}.gone")
        bad, good = act(client, "run_now", "good", "bad")
        assert good == f"good: job {Job.objects.get().id}."
        assert bad.startswith(f"bad cannot run: task is '{TASKS}.gone', allowed:")

    @pytest.mark.parametrize("action", ["pause", "resume", "run_now"])
    def test_one_that_is_gone_meanwhile_is_said_and_stops_no_other(
        self, client: Client, monkeypatch: pytest.MonkeyPatch, action: str
    ) -> None:
        make_schedule("a")
        make_schedule("b", is_paused=action == "resume")
        name = "run_schedule" if action == "run_now" else f"{action}_schedule"
        real = getattr(admin, name)

        def act_late(schedule: str, *rest: str) -> Any:
            Schedule.objects.filter(name="a").delete()
            return real(schedule, *rest)

        monkeypatch.setattr(admin, name, act_late)
        gone, *others = act(client, action, "a", "b")
        assert gone == "There is no schedule 'a', known: 'b'."
        expected = {"pause": "Paused: 1.", "resume": "Resumed: 1."}
        assert others == [expected.get(action) or f"b: job {Job.objects.get().id}."]


class PrimaryReplica:
    """Reads from a replica, as the router in Django's documentation does."""

    def db_for_read(self, model: type[Model], **_: Any) -> str | None:
        return "replica" if model._meta.app_label == "hosting" else None

    def db_for_write(self, model: type[Model], **_: Any) -> str:
        return "default"

    def allow_relation(self, *_: Any, **__: Any) -> bool:
        return True


class TestReplica:
    @pytest.fixture(autouse=True)
    def replica(self, db: None, settings: Any) -> Iterator[None]:
        """One that must not be asked, as it may be behind: that is an error in here."""
        connections.settings["replica"] = {**connections.settings["default"]}
        settings.DATABASE_ROUTERS = [PrimaryReplica()]
        yield
        del connections.settings["replica"]

    def test_schedules_are_read_where_they_are_written(self, client: Client) -> None:
        make_it("regular")
        assert "every 1 h" in shown(client.get(LIST))
        assert "in 59 min" in shown(client.get(change("regular")))

    def test_actions_do_what_they_say(self, client: Client) -> None:
        make_it("regular")
        assert act(client, "pause", "regular") == ["Paused: 1."]
        assert act(client, "resume", "regular") == ["Resumed: 1."]
        [message] = act(client, "run_now", "regular")
        assert message == f"regular: job {Job.objects.using('default').get().id}."

    def test_a_change_counts_from_now(self, client: Client) -> None:
        make_it("nightly")
        before = Schedule.objects.using("default").get()
        assert client.post(change("nightly"), NIGHTLY).status_code == 302
        row = Schedule.objects.using("default").get()
        assert (row.cron, row.is_paused) == ("0 3 * * *", False)
        assert row.since == row.handled_until > before.since
        assert client.post(delete("nightly"), {"post": "yes"}).status_code == 302
        assert not Schedule.objects.using("default").exists()


def make_it(name: str) -> None:
    """A schedule of every hour, where schedules are written."""
    now = timezone.now()
    values = {"interval": 3600.0, "since": now, "handled_until": now}
    Schedule.objects.create(name=name, task_path=f"{TASKS}.nothing", **values)


@task(sensitive=("password",))
def log_in(name: str, password: str) -> None: ...


def make_secret(kwargs: str, **values: Any) -> None:
    path, args = f"{__name__}.log_in", '["ann"]'
    make = Schedule.objects.create
    make(name="secret", task_path=path, interval=60, args=args, kwargs=kwargs, **values)


class TestPermissions:
    @pytest.fixture
    def reader(self) -> Client:
        """Of a user who may look at schedules, and no more."""
        user = User.objects.create_user("reader", is_staff=True)
        user.user_permissions.add(Permission.objects.get(codename="view_schedule"))
        client = Client()
        client.force_login(user)
        return client

    def test_who_may_look_may_do_nothing_else(self, reader: Client) -> None:
        make_schedule()
        assert "every 1 h" in shown(reader.get(LIST))
        for action in ("pause", "run_now"):
            reader.post(LIST, {"action": action, "_selected_action": ["regular"]})
        assert reader.post(change("regular"), NIGHTLY).status_code == 403
        assert reader.post(ADD, NIGHTLY).status_code == 403
        assert (Schedule.objects.get().is_paused, Job.objects.count()) == (False, 0)

    @pytest.mark.parametrize(
        "kwargs",
        ['{"password": "hunter2"}', '{"password": "hunter2', '{"pasword": "hunter2"}'],
    )
    def test_who_may_look_sees_no_sensitive_arguments(self, reader: Client, kwargs: str) -> None:
        make_secret(kwargs)
        page = reader.get(change("secret"))
        assert page.status_code == 200
        assert "hunter2" not in page.content.decode()
        assert "********" in shown(page)
        assert "hunter2" not in reader.get(LIST).content.decode()
        assert reader.get(LIST, {"kwargs__contains": "hunter"}).status_code == 400

    def test_of_one_of_the_settings_nobody_sees_them(self, client: Client) -> None:
        make_secret('{"password": "hunter2"}', is_declared=True)
        assert "hunter2" not in client.get(change("secret")).content.decode()

    def test_who_may_change_a_schedule_sees_what_they_change(self, client: Client) -> None:
        make_secret('{"password": "hunter2"}')
        assert "hunter2" in client.get(change("secret")).content.decode()

    def test_who_is_not_logged_in_is_sent_to_the_login(self) -> None:
        response = Client().get(LIST)
        assert response.status_code == 302
        assert response.headers["Location"].startswith("/admin/login/")
