"""Settings that are right, and what they mean."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest
from django.apps import apps

from hosting.builder import build_host
from hosting.checks import check_hosting
from hosting.conf import HostingSettings, load, load_settings
from hosting.conf.settings import KEYS
from tests.conf import samples
from tests.conf.conftest import Declare

HERE = "tests.conf.samples"
ALPHA, BETA, TIMED = f"{HERE}.Alpha", f"{HERE}.Beta", f"{HERE}.Timed"


def names() -> list[str]:
    assert check_hosting() == []
    return [service.name for service in load().services]


def test_nothing_declared_is_nothing_hosted(settings: Any) -> None:
    del settings.HOSTED_SERVICES
    del settings.HOSTING
    assert names() == []
    assert load().settings == HostingSettings()


def test_the_defaults_of_an_entry(declare: Declare) -> None:
    declare([ALPHA])
    [entry] = load().services
    assert entry.name == "Alpha"
    assert entry.service_class is samples.Alpha
    assert entry.path == ALPHA
    assert entry.options == {}
    assert entry.run_in == {"web", "worker"}
    assert entry.restart == "on-failure"
    assert entry.stop_timeout is None
    assert entry.watchdog is None
    assert entry.enabled


def test_the_defaults_of_hosting(declare: Declare) -> None:
    declare()
    found = load().settings
    assert found == load_settings()
    assert found.autostart is None
    assert (found.startup_timeout, found.shutdown_timeout) == (None, 5.0)
    assert not found.start_concurrently
    assert not found.stop_concurrently
    assert (found.max_restarts, found.restart_period) == (5, 60.0)
    assert found.lease_timeout == 15.0


def test_every_key_of_an_entry(declare: Declare) -> None:
    declare(
        [
            {
                "SERVICE": TIMED,
                "NAME": "reaper",
                "OPTIONS": {"interval": 30},
                "RUN_IN": ["worker"],
                "RESTART": "always",
                "STOP_TIMEOUT": 3,
                "WATCHDOG": 60,
                "SINGLETON": True,
                "ENABLED": True,
            }
        ]
    )
    assert names() == ["reaper"]
    [entry] = load().services
    assert entry.options == {"interval": 30}
    assert entry.run_in == {"worker"}
    assert entry.restart == "always"
    assert entry.stop_timeout == 3.0
    assert entry.watchdog == 60.0
    assert entry.singleton


def test_every_key_of_hosting(declare: Declare) -> None:
    given = {
        "AUTOSTART": True,
        "STARTUP_TIMEOUT": 30,
        "SHUTDOWN_TIMEOUT": 0,
        "START_CONCURRENTLY": True,
        "STOP_CONCURRENTLY": True,
        "MAX_RESTARTS": 0,
        "RESTART_PERIOD": 0.5,
        "LEASE_TIMEOUT": 1,
        "SCHEDULE": {},
        "METRICS": find_spec("prometheus_client") is not None,
        "TRACING": find_spec("opentelemetry") is not None,
    }
    assert given.keys() == KEYS.keys()
    declare(hosting=given)
    assert check_hosting() == []
    found = load().settings
    assert {key: getattr(found, key.lower()) for key in given} == given


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("auto", None),
        ("", None),
        (True, True),
        (False, False),
        ("1", True),
        ("0", False),
        ("Yes", True),
        (" off ", False),
        ("TRUE", True),
    ],
)
def test_autostart_is_a_word_of_the_environment_too(
    declare: Declare, word: Any, meaning: bool | None
) -> None:
    declare(hosting={"AUTOSTART": word})
    assert check_hosting() == []
    assert load().settings.autostart is meaning


@pytest.mark.parametrize(
    ("run_in", "meaning"),
    [("web", {"web"}), (["worker"], {"worker"}), (("web", "worker"), {"web", "worker"})],
)
def test_run_in_is_a_name_or_a_list(declare: Declare, run_in: Any, meaning: set[str]) -> None:
    declare([{"SERVICE": ALPHA, "RUN_IN": run_in}])
    assert load().services[0].run_in == meaning


def test_services_are_in_the_order_of_the_list(declare: Declare) -> None:
    declare((BETA, {"SERVICE": TIMED}, ALPHA))
    assert names() == ["Beta", "Timed", "Alpha"]


def test_one_class_may_appear_under_several_names(declare: Declare) -> None:
    declare([TIMED, {"SERVICE": TIMED, "NAME": "fast", "OPTIONS": {"interval": 1}}])
    assert names() == ["Timed", "fast"]
    host = build_host("worker")
    first, second = (service.service for service in host._services[1:])
    assert first is not second
    host.stop()


def test_what_apps_ship_comes_before_the_projects_own(declare: Declare) -> None:
    declare([ALPHA], shipped=[BETA])
    assert names() == ["Beta", "Alpha"]


def test_apps_ship_in_the_order_of_installed_apps(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(shipped=[BETA])
    config = apps.get_app_config("hosting")
    monkeypatch.setattr(config, "hosted_services", [ALPHA, TIMED], raising=False)
    assert names() == ["Alpha", "Timed", "Beta"]


def test_a_shipped_service_is_replaced_in_its_place(declare: Declare) -> None:
    own = {"SERVICE": TIMED, "NAME": "Alpha", "OPTIONS": {"interval": 5}}
    declare([f"{HERE}.Scoped", own], shipped=[ALPHA, BETA])
    assert names() == ["Alpha", "Beta", "Scoped"]
    assert load().services[0].service_class is samples.Timed


def test_a_shipped_service_is_switched_off_by_its_name(declare: Declare) -> None:
    declare([{"NAME": "Alpha", "ENABLED": False}], shipped=[ALPHA, BETA])
    assert names() == ["Beta"]


def test_a_service_that_is_not_enabled_is_known_and_not_hosted(declare: Declare) -> None:
    declare([{"SERVICE": ALPHA, "ENABLED": False}, BETA])
    assert names() == ["Alpha", "Beta"]
    for kind in ("web", "worker"):
        assert [entry.name for entry in load().hosted_in(kind)] == ["Beta"]


def test_a_shipped_service_may_be_replaced_by_one_that_is_not_enabled(declare: Declare) -> None:
    declare([{"SERVICE": ALPHA, "ENABLED": False}], shipped=[ALPHA])
    assert names() == ["Alpha"]
    assert load().hosted_in("worker") == ()


def test_each_kind_of_process_hosts_its_own(declare: Declare) -> None:
    declare(
        [
            {"SERVICE": ALPHA, "RUN_IN": ["web"]},
            {"SERVICE": BETA, "RUN_IN": ["worker"]},
            TIMED,
        ]
    )
    assert [entry.name for entry in load().hosted_in("web")] == ["Alpha", "Timed"]
    assert [entry.name for entry in load().hosted_in("worker")] == ["Beta", "Timed"]


def test_checks_construct_nothing(declare: Declare, nothing_made: list[str]) -> None:
    declare([ALPHA, BETA])
    assert names() == ["Alpha", "Beta"]
    assert nothing_made == []


@pytest.mark.parametrize("path", ["QueuedHostedService", "TaskWorker"])
def test_the_names_of_the_facade_are_dotted_paths(declare: Declare, path: str) -> None:
    declare([f"hosting.{path}"])
    assert names() == [path]


def test_options_of_the_setting_are_not_shared_with_the_entry(declare: Declare) -> None:
    given = {"interval": 5}
    declare([{"SERVICE": TIMED, "OPTIONS": given}])
    [entry] = load().services
    given["interval"] = 0
    assert entry.options == {"interval": 5}


def test_the_projects_own_settings_are_right(settings: Any) -> None:
    assert check_hosting() == []
    assert "TaskWorker" in names()


@pytest.mark.parametrize("value", [1, 1.5, 86_400])
def test_the_bounds_of_the_lease_timeout(declare: Declare, value: float) -> None:
    declare(hosting={"LEASE_TIMEOUT": value})
    assert check_hosting() == []
    assert load().settings.lease_timeout == value
