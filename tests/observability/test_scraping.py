"""METRICS and TRACING as a project sees them: the switch, the view, and what is left alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from hosting.checks import check_hosting
from hosting.conf import values
from hosting.observability import switches
from hosting.observability.metrics import render_metrics
from tests.observability.conftest import Observed, Scrape

ROOT = Path(__file__).resolve().parent.parent.parent

NOTHING_OPTIONAL = """
import sys, importlib, pkgutil

OPTIONAL = ("prometheus_client", "opentelemetry")

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in OPTIONAL:
            raise ImportError(f"{name} is not installed here")

sys.meta_path.insert(0, Blocked())
import django
django.setup()
import hosting
ONLY_IF_ON = {"prometheus", "rendering", "collecting", "tracing"}
for found in pkgutil.walk_packages(hosting.__path__, "hosting."):
    if found.name.startswith("hosting.observability."):
        if found.name.rpartition(".")[2] in ONLY_IF_ON:
            continue
    if not found.name.startswith("hosting.migrations"):
        importlib.import_module(found.name)
print(len([name for name in sys.modules if name.startswith("hosting.")]))
print([name for name in sys.modules if name.split(".")[0] in OPTIONAL])
"""

COUNT_IN_TWO_PROCESSES = """
import os
import django
django.setup()
from hosting.observability.metrics import render_metrics
from hosting.queues.telling import SettledAttempt
from hosting.signals import attempts_settled

def settle(count):
    attempt = SettledAttempt(None, "shop.tasks.add", "default", "successful", 0.1, 0.2, None)
    attempts_settled.send(None, service="TaskWorker", attempts=[attempt] * count)

child = os.fork()
settle(2 if child else 3)
if not child:
    os._exit(0)
os.waitpid(child, 0)
print(render_metrics()[0].decode())
"""


def python(program: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": "sqlite://:memory:", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_the_extras_nothing_of_them_is_imported() -> None:
    count, optional = python(NOTHING_OPTIONAL).splitlines()
    assert int(count) > 100
    assert optional == "[]"


def test_processes_behind_one_port_are_counted_together(tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client")
    settings = tmp_path / "counting.py"
    settings.write_text("from tests.settings import *\nHOSTING = {'METRICS': True}\n")
    counted = tmp_path / "counted"
    counted.mkdir()
    text = python(
        COUNT_IN_TWO_PROCESSES,
        DJANGO_SETTINGS_MODULE="counting",
        PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}",
        PROMETHEUS_MULTIPROC_DIR=str(counted),
    )
    scrape = Scrape(text)
    labels = {"task": "shop.tasks.add", "queue": "default"}
    assert scrape.value("hosting_jobs_total", **labels, outcome="successful") == 5
    assert scrape.value("hosting_job_run_seconds_count", **labels) == 5
    assert scrape.value("hosting_database_up") is not None


@pytest.fixture
def on(settings: Any) -> None:
    settings.HOSTING = {"METRICS": True}
    settings.ROOT_URLCONF = "tests.observability.urls"


def test_the_view_gives_what_prometheus_can_read(on: None, client: Client, db: None) -> None:
    client_module = pytest.importorskip("prometheus_client")
    response = client.get("/hosting/metrics")

    assert response.status_code == 200
    assert response.headers["Content-Type"] == client_module.CONTENT_TYPE_LATEST
    assert "python_info" in Scrape(response.content.decode()).families


def test_where_all_else_asks_for_a_login_the_view_does_not(
    on: None, client: Client, settings: Any, db: None
) -> None:
    pytest.importorskip("prometheus_client")
    settings.MIDDLEWARE = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    response = client.get("/hosting/metrics")
    assert response.status_code == 200
    assert "no-store" in response.headers["Cache-Control"]


def test_the_view_takes_get_only(on: None, client: Client) -> None:
    assert client.post("/hosting/metrics").status_code == 405


def test_switched_off_there_are_no_metrics(on: None, client: Client, settings: Any) -> None:
    settings.HOSTING = {}
    assert client.get("/hosting/metrics").status_code == 404
    assert render_metrics() is None


@pytest.mark.parametrize(
    ("key", "package", "extra"),
    [
        ("METRICS", "prometheus_client", "prometheus"),
        ("TRACING", "opentelemetry.trace", "opentelemetry"),
    ],
)
class TestSwitches:
    def test_without_the_extra_the_check_says_what_to_install(
        self, key: str, package: str, extra: str, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(values, "find_spec", lambda name: None)
        settings.HOSTING = {key: True}
        [error] = check_hosting()

        assert error.id == "hosting.E022"
        assert error.msg == (
            f"HOSTING: {key} is True, but {package} is not installed: pip install "
            f"'django-hosting-services[{extra}]', allowed without: False."
        )

    def test_without_the_extra_off_is_fine_and_on_connects_nothing(
        self, key: str, package: str, extra: str, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(values, "find_spec", lambda name: None)
        monkeypatch.setattr(switches, "import_module", None)
        settings.HOSTING = {key: False}
        assert check_hosting() == []
        settings.HOSTING = {key: True}
        switches.connect()

    @pytest.mark.parametrize("value", [1, "on", None])
    def test_another_value_is_refused(
        self, key: str, package: str, extra: str, value: Any, settings: Any
    ) -> None:
        settings.HOSTING = {key: value}
        [error] = check_hosting()
        assert error.msg == f"HOSTING: {key} is {value!r}, allowed: True or False."

    def test_on_it_is_connected(
        self, key: str, package: str, extra: str, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pytest.importorskip(package)
        imported: list[str] = []

        class Observer:
            @staticmethod
            def connect() -> None:
                imported.append("connected")

        monkeypatch.setattr(
            switches, "import_module", lambda name: imported.append(name) or Observer
        )
        settings.HOSTING = {key: True}
        switches.connect()
        module = {"METRICS": switches.PROMETHEUS, "TRACING": switches.TRACING}[key]
        assert imported == [module, "connected"]


def test_a_batch_is_observed_as_its_values_would_be() -> None:
    client = pytest.importorskip("prometheus_client")
    from hosting.observability.batches import observe_all

    values = [0.0, 0.5, 0.5, 1.0, 1.5, 2.0, 99.0]
    texts = []
    for observe in (observe_all, lambda child, found: [child.observe(each) for each in found]):
        registry = client.CollectorRegistry()
        made = client.Histogram("h", "h", ["a"], buckets=(0.5, 1.0, 2.0), registry=registry)
        observe(made.labels("x"), values)
        text = client.generate_latest(registry).decode()
        texts.append([line for line in text.splitlines() if "_created" not in line])
    assert texts[0] == texts[1]


def test_every_metric_is_documented(observed: Observed, db: None) -> None:
    page = (ROOT / "docs/metrics.md").read_text()
    documented = dict(re.findall(r"^\| `(hosting_\w+)` \| (\w+) \|", page, re.MULTILINE))
    made = {}
    for family in observed.registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        made[name] = family.type
    assert documented == made
