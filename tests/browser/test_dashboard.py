"""The dashboard in a real browser, served by the real `runserver`, which hosts the worker too.

HOSTING_SCREENSHOTS=DIRECTORY keeps pictures of every page there, light, dark and as on a phone.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urljoin

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.browser.test_page import DEVELOPMENT, complaints, text, texts, wait_until
from tests.processes import Project

pytestmark = [pytest.mark.browser, pytest.mark.process]

PAGES = {
    "fleet": "hostprocess/",
    "log": "hostprocess/log/?service=TimedHostedService",
    "jobs": "job/",
    "failed": "job/?state=failed",
    "queues": "pausedqueue/",
    "schedules": "schedule/",
}
LINES = ".hosting-lines pre"
PASSWORD = "correct horse battery"
EVIL = '<img src=x onerror="window.isHurt = true"><script>window.isHurt = true</script>'
# Run by `manage.py shell`, in the order of the lines.
MAKE_JOBS = f"""
from datetime import timedelta
from django.contrib.auth.models import User
from messages_app.tasks import prune_messages, write_messages
User.objects.create_superuser("root", password={PASSWORD!r})
evil = {EVIL!r}
for number in range(12):
    prune_messages.enqueue()
write_messages.using(queue_name=evil[:60]).enqueue(evil, delay=evil)
write_messages.enqueue(evil, 0)
for hours in (1, 20):
    prune_messages.using(run_after=timedelta(hours=hours)).enqueue()
"""


# A process and a job of which everything is as long as it can be, and in one word.
MAKE_LONG_VALUES = """
import json
from datetime import timedelta
from django.utils import timezone
from hosting.models import HostProcess, Job, LogLine, ServiceCommand
now, long = timezone.now(), "x" * 300
service = {"name": long[:64], "state": "running", "last_error": long, "condition": "degraded"}
services = json.dumps([{**service, "reason": long, "facts": {long: long, "lease_token": 2**63}}])
moments = {"started_at": now, "seen_at": now}
HostProcess(long[:64], long[:255], 4194304, "worker", "1", services, **moments).save()
asked = {"process": long[:64], "service": long[:64], "action": "stop"}
ServiceCommand(outcome=long, taken_at=now, done_at=now, **asked).save()
job = Job(task_path=long, queue_name=long[:128], backend="default", enqueued_at=now)
job.state, job.due_at = "waiting", now + timedelta(days=1)
job.progress, job.args, job.worker_ids = long, json.dumps([long]), json.dumps([long])
job.save()
line = {"service": long[:64], "process": long[:64], "logger": long[:128], "text": long}
LogLine(made_at=now, level=40, **line).save()
LogLine(made_at=now, level=40, job_id=job.pk, attempt=1, **line).save()
"""


@pytest.fixture
def admin(browser: Chrome, project: Project) -> str:
    """The URL of the dashboard, where the browser is logged in and jobs have run."""
    server, url = project.runserver("--noreload", env=DEVELOPMENT)
    server.wait_for_line("Hosting ")
    project.run("shell", "-c", MAKE_JOBS)
    project.wait_for_rows(
        "SELECT 1 FROM hosting_jobresult WHERE status = 'FAILED' LIMIT 1 OFFSET 1"
    )
    browser.get(f"{url}admin/")
    browser.find_element(By.NAME, "username").send_keys("root")
    browser.find_element(By.NAME, "password").send_keys(PASSWORD, Keys.ENTER)
    wait_until(browser, lambda: texts(browser, "#user-tools"))
    return f"{url}admin/hosting/"


def click(browser: Chrome, selector: str, *, confirm: bool = False) -> None:
    """Click it, and wait for the page that follows."""
    browser.execute_script("window.isOld = true")
    browser.find_element(By.CSS_SELECTOR, selector).click()
    if confirm:
        browser.switch_to.alert.accept()
    wait_until(browser, lambda: browser.execute_script("return !window.isOld"))


def refresh(browser: Chrome) -> None:
    """Have the page ask for itself again, as when it comes into sight, and show the answer."""
    browser.execute_script(
        "document.getElementById('dashboard-live').textContent = '';"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    wait_until(browser, lambda: text(browser, "#dashboard-live").startswith("Live"))


def troubles(browser: Chrome) -> list[object]:
    """What the console complains of, but that the admin has no icon."""
    return [each for each in complaints(browser) if "favicon.ico" not in str(each)]


def state(browser: Chrome, service: str) -> str:
    """The state of a service, as the page of the fleet has it."""
    script = (
        "return [...document.querySelectorAll('#dashboard-fleet tr')]"
        ".find((row) => row.querySelector('th')?.innerText.startsWith(arguments[0]))"
        "?.querySelector('.hosting-state').innerText"
    )
    return str(browser.execute_script(script, service))


def fleet_text(browser: Chrome) -> str:
    return text(browser, "#dashboard-fleet")


def test_a_walk_through_all_pages(browser: Chrome, admin: str, tmp_path: Path) -> None:
    every_page_fits_every_screen(browser, admin, tmp_path)
    browser.get(admin + PAGES["fleet"])  # from then on processes look every second what is asked
    a_job_is_found_and_retried(browser, admin)
    what_a_job_was_given_is_text(browser)
    a_service_has_a_log(browser, admin)
    a_job_is_cancelled_and_all_that_failed_are_retried(browser, admin)
    a_schedule_is_run_paused_and_resumed(browser, admin)
    browser.get(admin + PAGES["queues"])
    click(browser, "[aria-label='Pause default']")
    a_service_is_stopped_and_started(browser, admin)  # meanwhile the worker notices the pause
    a_paused_queue_keeps_its_jobs(browser, admin)
    assert browser.execute_script("return window.isHurt") is None
    assert troubles(browser) == []


def test_long_values_fit_a_phone(browser: Chrome, admin: str, project: Project) -> None:
    project.run("shell", "-c", MAKE_LONG_VALUES)
    screen = {"width": 375, "height": 900, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get(admin + PAGES["jobs"])
    link = browser.find_element(By.CSS_SELECTOR, "#dashboard-rows .hosting-task a")
    job, log = link.get_attribute("href"), f"{admin}hostprocess/log/?service={'x' * 64}"
    too_wide = (
        "return [document.documentElement, ...document.querySelectorAll('.hosting-scroll')]"
        ".map((each) => each.scrollWidth - each.clientWidth)"
    )
    for page in ("job/", "pausedqueue/", job, log, "hostprocess/"):
        browser.get(urljoin(admin, page))
        assert "x" * 64 in text(browser, "#content").replace("\n", ""), page
        assert max(browser.execute_script(too_wide)) <= 0, page
    colour = "return getComputedStyle(document.querySelector(arguments[0])).color"
    trouble, other = "small.hosting-bad", "small:not(.hosting-bad)"
    assert browser.execute_script(colour, trouble) != browser.execute_script(colour, other)
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def a_service_is_stopped_and_started(browser: Chrome, admin: str) -> None:
    """The page tells of it without a reload, and what was opened there stays open."""
    browser.get(admin + PAGES["fleet"])
    wait_until(browser, lambda: state(browser, "ScopedHostedService") == "running")
    for action, found in (("Stop", "stopped"), ("Start", "running"), ("Restart", "running")):
        selector = f"[aria-label='{action} ScopedHostedService']"
        click(browser, selector, confirm=action == "Stop")
        browser.execute_script("window.isStillThisPage = true")
        browser.find_element(By.CSS_SELECTOR, "details summary").click()
        wait_until(browser, lambda found=found: state(browser, "ScopedHostedService") == found)
        wait_until(browser, lambda action=action: f"{action.lower()} done" in fleet_text(browser))
        assert browser.execute_script("return window.isStillThisPage")
        assert browser.execute_script("return document.querySelector('details').open")
    assert "root" in text(browser, "#dashboard-log")


def a_job_is_found_and_retried(browser: Chrome, admin: str) -> None:
    """By the keyboard; what is ticked outlives a refresh, and so does the focus."""
    browser.get(admin + PAGES["jobs"])
    refresh(browser)
    assert len(texts(browser, "#dashboard-rows tr")) == 16
    browser.find_element(By.LINK_TEXT, "Failed 2").click()
    wait_until(browser, lambda: len(texts(browser, "#dashboard-rows tr")) == 2)
    tick = browser.find_element(By.CSS_SELECTOR, "#dashboard-rows input")
    tick.send_keys(Keys.SPACE)
    refresh(browser)
    assert "held while jobs are ticked" in text(browser, "#dashboard-live")
    assert text(browser, "[data-ticked]") == "1 ticked"
    assert browser.switch_to.active_element == tick
    click(browser, "button[value=retry]")
    assert "Retried: 1." in text(browser, ".messagelist")
    wait_until(browser, lambda: len(texts(browser, "#dashboard-rows tr")) == 2)  # it fails again


def what_a_job_was_given_is_text(browser: Chrome) -> None:
    """Nothing of it is an element; what was closed stays closed; and it can be discarded."""
    click(browser, "#dashboard-rows .hosting-task a")
    assert EVIL in text(browser, "#arguments ~ pre").replace('\\"', '"')
    wait_until(browser, lambda: any("Traceback" in each for each in texts(browser, LINES)))
    assert browser.find_elements(By.CSS_SELECTOR, "#content img, #content script") == []
    browser.find_element(By.CSS_SELECTOR, "#dashboard-job details summary").click()
    refresh(browser)
    assert not browser.execute_script("return document.querySelector('details').open")
    click(browser, "button[value=discard]", confirm=True)
    assert "Discarded: 1." in text(browser, ".messagelist")


def a_service_has_a_log(browser: Chrome, admin: str) -> None:
    """It grows while one looks at it."""
    browser.get(admin + PAGES["fleet"])
    click(browser, "[aria-label='Log of TimedHostedService']")
    wait_until(browser, lambda: any("Timed" in each for each in texts(browser, LINES)))
    count = len(texts(browser, LINES))
    wait_until(browser, lambda: len(texts(browser, LINES)) > count)
    browser.find_element(By.LINK_TEXT, "Error and above").click()
    wait_until(browser, lambda: "No line of it is kept at this level" in text(browser, "#content"))


def a_paused_queue_keeps_its_jobs(browser: Chrome, admin: str) -> None:
    """Until it is resumed."""
    browser.get(f"{admin}job/?state=waiting")
    browser.find_element(By.CSS_SELECTOR, "#dashboard-rows input").click()
    click(browser, "button[value=hasten]")
    browser.get(admin + PAGES["queues"])
    assert "paused" in text(browser, "#dashboard-depths")
    ready = "[data-label=Ready]"
    wait_until(browser, lambda: "1" in texts(browser, ready))
    click(browser, "[aria-label='Resume default']")
    wait_until(browser, lambda: "1" not in texts(browser, ready))


def a_job_is_cancelled_and_all_that_failed_are_retried(browser: Chrome, admin: str) -> None:
    """What was cancelled is among those that failed."""
    rows = "#dashboard-rows tr"
    browser.get(f"{admin}job/?state=waiting")
    waiting = len(texts(browser, rows))
    browser.find_element(By.CSS_SELECTOR, "#dashboard-rows input").click()
    click(browser, "button[value=cancel]", confirm=True)
    assert "Cancelled: 1." in text(browser, ".messagelist")
    assert len(texts(browser, rows)) == waiting - 1
    browser.get(admin + PAGES["failed"])
    failed = len(texts(browser, rows))
    assert failed > 1
    browser.find_element(By.CSS_SELECTOR, "[data-tick-all]").click()
    assert text(browser, "[data-ticked]") == f"{failed} ticked"
    click(browser, "button[value=retry]")
    assert f"Retried: {failed}." in text(browser, ".messagelist")


def a_schedule_is_run_paused_and_resumed(browser: Chrome, admin: str) -> None:
    """From the list of the admin."""
    for action, told in (
        ("run_now", "rune-messages: job"),
        ("pause", "Paused: 1."),
        ("resume", "Resumed: 1."),
    ):
        browser.get(admin + PAGES["schedules"])
        browser.find_element(By.NAME, "_selected_action").click()
        browser.find_element(By.CSS_SELECTOR, f"option[value={action}]").click()
        click(browser, "button[name=index]")
        assert told in text(browser, ".messagelist")


def every_page_fits_every_screen(browser: Chrome, admin: str, tmp_path: Path) -> None:
    """None scrolls sideways."""
    directory = Path(os.environ.get("HOSTING_SCREENSHOTS") or tmp_path)
    directory.mkdir(parents=True, exist_ok=True)
    browser.get(admin + PAGES["failed"])
    job = browser.find_element(By.CSS_SELECTOR, "#dashboard-rows .hosting-task a").get_attribute(
        "href"
    )
    for name, page in {**PAGES, "one job": job}.items():
        browser.get(page if page.startswith("http") else admin + page)
        refresh(browser)
        for mode, width, theme in (
            ("desktop", 1280, "light"),
            ("dark", 1280, "dark"),
            ("phone", 375, "light"),
        ):
            screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
            script = (
                "document.documentElement.dataset.theme = arguments[0];"
                "for (const each of document.getAnimations()) each.finish()"
            )
            browser.execute_script(script, theme)
            wide = browser.execute_script("return document.documentElement.scrollWidth")
            assert browser.save_screenshot(str(directory / f"{name} {mode}.png"))
            # The admin's own list of schedules is wider than a phone, and scrolls.
            assert wide <= width or name == "schedules", (name, mode, wide)
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
