"""Log lines on the pages of the dashboard, and who may read them."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from hosting.dashboard import lines
from hosting.models import LogLine
from tests.dashboard.conftest import shown
from tests.dashboard.making import enqueue
from tests.dashboard.test_processes import process

pytestmark = pytest.mark.django_db

FLEET = reverse("admin:hosting_hostprocess_changelist")
LOG = reverse("admin:hosting_hostprocess_log")


def line(text: str, **values: Any) -> LogLine:
    defaults = {
        "service": "mailer",
        "process": "host:1:ab",
        "made_at": timezone.now(),
        "level": logging.INFO,
        "logger": "shop",
    }
    return LogLine.objects.create(**{**defaults, **values, "text": text})


def page_of(job: UUID) -> str:
    return reverse("admin:hosting_job_change", args=[job])


def lines_of(response: Any) -> list[str]:
    found = re.findall(r'<tr id="line-.*?<pre>(.*?)</pre>', response.content.decode(), re.DOTALL)
    assert response.status_code == 200
    return [str(each) for each in found]


def test_the_page_of_a_job_shows_its_lines(client: Client) -> None:
    job = enqueue("a")
    line("one", job_id=job, attempt=1)
    line("two", job_id=job, attempt=2, level=logging.ERROR)
    line("of another", job_id=uuid4(), attempt=1)
    line("of the service")
    response = client.get(page_of(job))
    assert lines_of(response) == ["one", "two"]
    assert "INFO shop 1 one" in shown(response)
    assert "ERROR shop 2 two" in shown(response)


def test_a_job_without_lines_has_no_part_for_them(client: Client) -> None:
    assert 'id="lines"' not in client.get(page_of(enqueue("a"))).content.decode()


def test_of_many_lines_of_a_job_the_last_are_shown(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MOST", 2)
    job = enqueue("a")
    for number in range(3):
        line(str(number), job_id=job, attempt=1)
    response = client.get(page_of(job))
    assert lines_of(response) == ["1", "2"]
    assert "The last 2 lines are shown." in shown(response)


def test_the_fleet_leads_to_the_log_of_a_service(client: Client) -> None:
    process(**{"mailer": {}, "a&b": {}})
    page = client.get(FLEET).content.decode()
    [mailer, odd] = re.findall(r'href="([^"]+)" aria-label="Log of', page)
    assert mailer == f"{LOG}?service=mailer"
    line("of mailer")
    line("of the other", service="a&b")
    assert lines_of(client.get(mailer)) == ["of mailer"]
    assert lines_of(client.get(odd.replace("&amp;", "&"))) == ["of the other"]


def test_earlier_lines_are_found_page_by_page(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MOST", 2)
    for number in range(5):
        line(str(number))
    found, address = [], f"{LOG}?service=mailer"
    while address:
        response = client.get(address)
        found.append(lines_of(response))
        earlier = re.search(r'href="([^"]+)">Earlier', response.content.decode())
        address = LOG + earlier[1].replace("&amp;", "&") if earlier else ""
    assert found == [["3", "4"], ["1", "2"], ["0"]]
    assert "data-live" not in response.content.decode()  # what is old does not change


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
        ("nonsense", ["info", "warning", "error"]),
    ],
)
def test_lines_can_be_chosen_by_their_level(
    client: Client, level: str, expected: list[str]
) -> None:
    for name in ("info", "warning", "error"):
        line(name, level=logging.getLevelNamesMapping()[name.upper()])
    assert lines_of(client.get(f"{LOG}?service=mailer&level={level}")) == expected


@pytest.mark.parametrize("query", ["", "service=", "service=nobody", "service=%00", "service=é%27"])
def test_a_service_without_lines_is_told_how_to_keep_some(client: Client, query: str) -> None:
    assert "Lines are kept where LOGGING has a LogLineHandler" in shown(
        client.get(f"{LOG}?{query}")
    )


@pytest.mark.parametrize("before", ["x", "-1", "9" * 30, "²"])
def test_a_place_that_is_none_shows_the_newest(client: Client, before: str) -> None:
    line("one")
    assert lines_of(client.get(LOG, {"service": "mailer", "before": before})) == ["one"]


def test_ids_are_no_numbers_to_be_read(
    client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.USE_THOUSAND_SEPARATOR = True
    monkeypatch.setattr(lines, "MOST", 1)
    for number in (10_001, 10_002):
        line(str(number), pk=number)
    for headers in ({}, {"X-Hosting-Live": "1"}):
        page = client.get(f"{LOG}?service=mailer", headers=headers).content.decode()
        assert "before=10002" in page
        assert 'id="line-10002"' in page


def test_what_lines_say_is_text(client: Client) -> None:
    evil = "<script>alert(1)</script>"
    job = enqueue("a")
    line(evil, job_id=job, attempt=1, logger=evil)
    line(evil, service=evil, process=evil)
    for address in (page_of(job), LOG):
        page = client.get(address, {"service": evil}).content.decode()
        assert evil not in page
        assert "&lt;script&gt;alert(1)" in page


def test_lines_take_a_permission_of_their_own(staff: Callable[..., Client]) -> None:
    job = enqueue("a")
    process(mailer={})
    line("secret", job_id=job, attempt=1)
    line("secret too")
    without = staff("view_job", "view_hostprocess", "change_hostprocess")
    assert "secret" not in without.get(page_of(job)).content.decode()
    assert "Log of mailer" not in without.get(FLEET).content.decode()
    assert without.get(f"{LOG}?service=mailer").status_code == 403

    only_lines = staff("view_logline")
    assert only_lines.get(f"{LOG}?service=mailer").status_code == 403

    both = staff("view_job", "view_hostprocess", "view_logline")
    assert lines_of(both.get(page_of(job))) == ["secret"]
    assert lines_of(both.get(f"{LOG}?service=mailer")) == ["secret too"]
    assert Client().get(LOG).status_code == 302


def test_a_page_reads_a_bounded_number_of_lines(client: Client) -> None:
    for number in range(3):
        line(str(number))
    with CaptureQueriesContext(connection) as queries:
        client.get(f"{LOG}?service=mailer")
    [query] = [each["sql"] for each in queries if "hosting_logline" in each["sql"]]
    assert "LIMIT 201" in query


def test_a_page_finds_lines_by_an_index(client: Client) -> None:
    now = timezone.now()
    LogLine.objects.bulk_create(
        LogLine(
            service="jobs",
            job_id=None if number % 50 == 0 else uuid4(),
            process="p",
            made_at=now,
            level=20,
            logger="l",
            text="x",
        )
        for number in range(5_000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    rows = LogLine.objects.filter(service="jobs", job_id__isnull=True)
    for queryset in (rows, rows.filter(id__lt=100), LogLine.objects.filter(job_id=uuid4())):
        plan = lines.newest(queryset).explain()
        assert "hosting_line_of" in plan
