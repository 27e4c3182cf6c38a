"""The pages of a process's health, which use no database: neither may these tests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import AsyncClient, Client
from django.urls import resolve, reverse

from hosting.host import Host
from hosting.process import current
from tests.host.helpers import Fails, Journal, Polite, a_host, a_service, supervised, until

QUESTIONS = ("live", "ready", "services")


@pytest.fixture(autouse=True)
def nothing_hosted(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process has no host, and is to have none, until a test says otherwise."""
    monkeypatch.setattr(current, "_host", None)
    monkeypatch.setattr(current, "_absence", (0, ""))


@pytest.fixture
def host() -> Iterator[Host]:
    """The host of this process, with a service that goes on and one that fails for good."""
    failing = supervised(a_service("b", Journal(), execute=Fails(ValueError("x"))), restart="never")
    made = a_host(a_service("a", Journal(), execute=Polite()), failing, stop_on_failure=False)
    current.set_current_host(made)
    with made:
        until(lambda: made.lifetime.failure)
        yield made


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_process_that_hosts_nothing_is_well(client: Client, question: str) -> None:
    response = client.get(f"/hosting/health/{question}")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.json()["hosts"] is False


def test_the_answers_are_those_of_the_host(client: Client, host: Host) -> None:
    found = {each: client.get(f"/hosting/health/{each}") for each in QUESTIONS}
    assert {each: response.status_code for each, response in found.items()} == {
        "live": 503,
        "ready": 200,
        "services": 503,
    }
    assert found["live"].json()["reasons"] == ["service 'b' failed for good"]
    assert [each["state"] for each in found["services"].json()["services"]] == ["running", "failed"]


def test_a_host_that_is_not_built_yet_is_awaited(client: Client) -> None:
    current.set_absence("its services have not started yet")
    assert client.get("/hosting/health/ready").status_code == 503
    assert client.get("/hosting/health/live").status_code == 200


@pytest.mark.parametrize("question", QUESTIONS)
def test_they_are_never_cached(client: Client, question: str) -> None:
    control = client.get(f"/hosting/health/{question}").headers["Cache-Control"]
    assert {"no-store", "no-cache", "max-age=0"} <= set(control.split(", "))


def test_only_reading_is_allowed(client: Client, host: Host) -> None:
    assert client.head("/hosting/health/live").status_code == 503
    for method in (client.post, client.put, client.patch, client.delete, client.options):
        response = method("/hosting/health/live")
        assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD")


def test_they_answer_under_asgi(host: Host) -> None:
    response = asyncio.run(AsyncClient().get("/hosting/health/services"))
    assert response.status_code == 503
    assert len(response.json()["services"]) == 2


def test_what_an_error_said_is_for_development_alone(
    client: Client, host: Host, settings: Any
) -> None:
    def error() -> str:
        return str(client.get("/hosting/health/services").json()["services"][1]["last_error"])

    assert error() == "ValueError"
    settings.DEBUG = True
    assert error() == "ValueError: x"


def test_nobody_has_to_log_in() -> None:
    """By the mark that Django's LoginRequiredMiddleware looks for."""
    assert resolve("/hosting/health/live").func.login_required is False


def test_they_can_be_asked_by_http_where_all_else_is_sent_to_https(settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    client = Client()
    assert client.get("/hosting/health/live").status_code == 200
    assert client.get("/").status_code == 301


def test_the_pages_have_names() -> None:
    assert [reverse(f"hosting:{each}") for each in QUESTIONS] == [
        f"/hosting/health/{each}" for each in QUESTIONS
    ]
