"""`check --deploy`: settings that are right, but will be trouble."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core import checks
from django.db import connection, connections

from hosting.compat import task
from hosting.deployment import check_deployment
from hosting.queues.stores import advice

WISE = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL;",
}
SQLITE = "django.db.backends.sqlite3"
POSTGRESQL = "django.db.backends.postgresql"
DATABASE_BACKEND = "hosting.queues.DatabaseBackend"
RECORDER = "tests.projects.services.Recorder"


def tasks_of(**backends: dict[str, Any]) -> dict[str, Any]:
    return {alias: {"BACKEND": DATABASE_BACKEND, **values} for alias, values in backends.items()}


@pytest.fixture
def given(settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Checks a project with these settings, by default one that has nothing to be said of."""
    monkeypatch.delenv("HOSTING_AUTOSTART", raising=False)

    def check(
        services: list[Any] | None = None,
        tasks: dict[str, Any] | None = None,
        engine: str = SQLITE,
        options: dict[str, Any] | None = None,
        name: str = "db.sqlite3",
        **more: Any,
    ) -> list[checks.CheckMessage]:
        settings.HOSTED_SERVICES = ["hosting.TaskWorker"] if services is None else services
        settings.TASKS = tasks_of(default={"QUEUES": []}) if tasks is None else tasks
        settings.HOSTING = more.pop("hosting", {})
        fake = connections.create_connection("default")
        found = {"ENGINE": engine, "NAME": str(tmp_path / name)}
        found["OPTIONS"] = (WISE if engine == SQLITE else {}) if options is None else options
        fake = _connection(engine, {**fake.settings_dict, **found})
        monkeypatch.setattr(advice, "connections", {"default": fake, "other": fake})
        return check_deployment(**more)

    return check


def _connection(engine: str, settings_dict: dict[str, Any]) -> Any:
    """What is known of a connection without one."""
    vendors = {SQLITE: "sqlite", POSTGRESQL: "postgresql"}

    class Known:
        vendor = vendors.get(engine, "unknown")

    Known.settings_dict = settings_dict  # type: ignore[attr-defined]  # for this test
    return Known()


def ids(messages: list[checks.CheckMessage]) -> list[str]:
    return [str(message.id).removeprefix("hosting.") for message in messages]


def test_a_wise_project_is_left_in_peace(given: Any) -> None:
    assert given() == []
    assert given(engine=POSTGRESQL) == []


def test_it_is_registered_for_deployment_only() -> None:
    registry = checks.registry.registry
    assert check_deployment in registry.get_checks(include_deployment_checks=True)
    assert check_deployment not in registry.get_checks()


def test_each_is_a_warning_that_says_what_to_do(given: Any) -> None:
    messages = given(options={})

    assert len(messages) == 2
    assert all(message.level == checks.WARNING and message.hint for message in messages)


def test_wrong_settings_are_left_to_the_other_checks(given: Any) -> None:
    assert given(services=["nowhere.Service"], options={}) == []


class TestSQLite:
    def test_without_wal(self, given: Any) -> None:
        [message] = given(options={**WISE, "init_command": ""})

        assert message.id == "hosting.W110"
        assert message.msg.startswith("DATABASES['default']: init_command is '' and the file is")

    def test_a_file_that_is_in_wal_mode_already_will_do(self, given: Any, tmp_path: Path) -> None:
        (tmp_path / "wal.sqlite3").write_bytes(b"SQLite format 3\x00\x10\x00\x02\x02")
        (tmp_path / "old.sqlite3").write_bytes(b"SQLite format 3\x00\x10\x00\x01\x01")
        options = {**WISE, "init_command": "PRAGMA synchronous=NORMAL"}

        assert ids(given(options=options, name="wal.sqlite3")) == []
        assert ids(given(options=options, name="old.sqlite3")) == ["W110"]

    def test_a_mode_that_is_set_counts_whatever_the_file_says(
        self, given: Any, tmp_path: Path
    ) -> None:
        (tmp_path / "wal.sqlite3").write_bytes(b"SQLite format 3\x00\x10\x00\x02\x02")
        options = {**WISE, "init_command": "PRAGMA journal_mode=DELETE"}

        [message] = given(options=options, name="wal.sqlite3")

        assert message.id == "hosting.W110"
        assert "PRAGMA journal_mode=DELETE', so readers" in message.msg

    @pytest.mark.parametrize(
        "mode", ["(wal)", " = 'WAL'", '="wal"', "=DELETE; PRAGMA journal_mode=wal"]
    )
    def test_spellings_of_wal(self, given: Any, mode: str) -> None:
        assert given(options={**WISE, "init_command": f"PRAGMA journal_mode{mode}"}) == []

    @pytest.mark.parametrize("mode", [None, "DEFERRED"])
    def test_without_immediate_transactions(self, given: Any, mode: str | None) -> None:
        [message] = given(options={**WISE, "transaction_mode": mode})

        assert message.id == "hosting.W111"
        assert f"transaction_mode is {mode!r}" in message.msg

    @pytest.mark.parametrize(
        "changed",
        [
            {"timeout": 1},
            {"init_command": "PRAGMA journal_mode = wal; PRAGMA busy_timeout = 0"},
            {"init_command": "PRAGMA journal_mode=wal; PRAGMA busy_timeout(100)"},
        ],
    )
    def test_without_patience(self, given: Any, changed: dict[str, Any]) -> None:
        assert ids(given(options={**WISE, **changed})) == ["W112"]

    def test_a_database_that_nothing_uses_is_left_alone(self, given: Any) -> None:
        assert given(services=[], tasks={}, options={}) == []


class TestConnections:
    def test_a_pool_that_is_too_small_for_the_workers(self, given: Any) -> None:
        # 10 and 4 jobs, 3 of each worker, a sign of life, the row of the process.
        services = [
            {"SERVICE": "hosting.TaskWorker", "NAME": "a", "OPTIONS": {"concurrency": 10}},
            {"SERVICE": "hosting.TaskWorker", "NAME": "b", "RUN_IN": ["worker"]},
        ]

        [message] = given(services, engine=POSTGRESQL, options={"pool": {"max_size": 21}})

        assert message.id == "hosting.W113"
        assert "the pool has 21 connections" in message.msg
        assert "one worker process may need 22 at once" in message.msg
        assert given(services, engine=POSTGRESQL, options={"pool": {"max_size": 22}}) == []

    def test_a_pool_of_which_nothing_is_said_has_four(self, given: Any) -> None:
        [message] = given(engine=POSTGRESQL, options={"pool": True})

        assert "the pool has 4 connections" in message.msg

    def test_the_database_is_asked_only_if_it_may_be(
        self, given: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("hosting.deployment.databases.connections_allowed", lambda alias: 9)

        assert ids(given()) == []
        assert ids(given(databases=["other"])) == []
        [message] = given(databases=["default"])
        assert "the database allows 9 connections" in message.msg
        assert "may need 10 at once" in message.msg

    @pytest.mark.django_db
    def test_what_the_database_says(self) -> None:
        allowed = advice.connections_allowed("default")
        assert allowed is None if connection.vendor == "sqlite" else (allowed or 0) > 0


class TestTasks:
    @pytest.mark.parametrize("name", ["immediate.ImmediateBackend", "dummy.DummyBackend"])
    def test_backends_for_tests(self, given: Any, name: str) -> None:
        path = f"{task.__module__.partition('.')[0]}.backends.{name}".replace(
            "django.backends", "django.tasks.backends"
        )

        [message] = given(services=[], tasks={"default": {"BACKEND": path}})

        assert message.id == "hosting.W114"
        assert f"TASKS['default']['BACKEND'] is '{path}', which executes" in message.msg

    def test_a_queue_that_no_worker_serves(self, given: Any) -> None:
        services = [{"SERVICE": "hosting.TaskWorker", "OPTIONS": {"queues": ["default"]}}]
        tasks = tasks_of(default={"QUEUES": ["default", "mail"]})

        [message] = given(services, tasks)

        assert message.id == "hosting.W115"
        assert "TASKS['default']['QUEUES']: contains 'mail', which no TaskWorker" in message.msg
        assert given(["hosting.TaskWorker"], tasks) == []

    @pytest.mark.parametrize(
        "services", [[], [{"SERVICE": "hosting.TaskWorker", "ENABLED": False}]]
    )
    def test_a_backend_without_a_worker(self, given: Any, services: list[Any]) -> None:
        [message] = given(services)

        assert message.msg.startswith("TASKS['default']: no TaskWorker in HOSTED_SERVICES serves")

    def test_backends_that_disagree_about_the_dead(self, given: Any) -> None:
        services = [
            "hosting.TaskWorker",
            {"SERVICE": "hosting.TaskWorker", "NAME": "b", "OPTIONS": {"backend": "b"}},
        ]
        tasks = tasks_of(default={}, b={"OPTIONS": {"DEAD_AFTER": 60}})

        [message] = given(services, tasks)

        assert message.id == "hosting.W116"
        assert "have different DEAD_AFTER: 30, 60." in message.msg


class TestServices:
    def test_one_that_runs_nowhere(self, given: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        services = ["hosting.TaskWorker", {"SERVICE": RECORDER, "RUN_IN": ["web"]}]
        assert given(services) == []

        [by_setting] = given(services, hosting={"AUTOSTART": False})
        monkeypatch.setenv("HOSTING_AUTOSTART", "0")
        settings_say_so = check_deployment()

        assert by_setting.id == "hosting.W010"
        assert by_setting.msg.startswith(
            f"HOSTED_SERVICES[1] ('{RECORDER}'): RUN_IN is ['web'], but"
        )
        assert "HOSTING_AUTOSTART says" in settings_say_so[0].msg

    def test_a_singleton_without_leases(self, given: Any) -> None:
        services = ["hosting.TaskWorker", {"SERVICE": RECORDER, "SINGLETON": True}]
        assert given(services) == []

        [message] = given(services, engine="django.db.backends.dummy")

        assert message.id == "hosting.W011"
        assert (
            "SINGLETON is True, but the ENGINE of DATABASES['default'] is not known" in message.msg
        )
