"""The page in a real browser, served by the real `runserver`."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from tests.processes import PATIENCE, Project

pytestmark = [pytest.mark.browser, pytest.mark.process]

T = TypeVar("T")

# Static files come from runserver, which serves them in development only.
DEVELOPMENT = {"DEBUG": "true"}


def wait_until(browser: Chrome, fact: Callable[[], T]) -> T:
    """Wait until the fact is true; the driver's own errors while pages change are not."""
    wait = WebDriverWait(browser, PATIENCE, 0.05, ignored_exceptions=[WebDriverException])
    return wait.until(lambda _: fact())


def texts(browser: Chrome, selector: str) -> list[str]:
    # In one call, as elements may be exchanged between two.
    script = "return [...document.querySelectorAll(arguments[0])].map((each) => each.innerText)"
    return list(browser.execute_script(script, selector))


def text(browser: Chrome, selector: str) -> str:
    return "\n".join(texts(browser, selector))


def complaints(browser: Chrome) -> list[object]:
    """What the console of the browser has to say: scripts that fail, files that are missing."""
    return list(browser.get_log("browser"))


def wait_for_count(browser: Chrome, selector: str, count: int) -> None:
    wait_until(browser, lambda: len(texts(browser, selector)) == count)


def shown_page(browser: Chrome) -> str:
    """The id of the page in the tab, which changes with every load."""
    tree = browser.execute_cdp_cmd("Page.getFrameTree", {})
    return str(tree["frameTree"]["frame"]["loaderId"])


def is_loaded(browser: Chrome) -> bool:
    return bool(browser.execute_script("return document.readyState === 'complete'"))


def add_task(browser: Chrome, queue: str, steps: int, delay: float) -> None:
    Select(browser.find_element(By.NAME, "queue")).select_by_value(queue)
    for name, value in (("steps", steps), ("delay", delay)):
        field = browser.find_element(By.NAME, name)
        field.clear()
        field.send_keys(str(value))
    page = shown_page(browser)
    browser.find_element(By.XPATH, "//button[.='Add Task']").click()
    # Asked of the browser and not of an element: one that leaves with its page answers by chance
    # that it is stale, or with an error of the driver.
    wait_until(browser, lambda: shown_page(browser) != page and is_loaded(browser))


def added_task(browser: Chrome) -> str:
    """The id of the one task on the page, as soon as the page shows it."""
    found = wait_until(browser, lambda: texts(browser, "#tasks code"))
    assert len(found) == 1, (found, text(browser, "body"))
    [task_id] = found
    return task_id


def test_services_are_alive(browser: Chrome, project: Project) -> None:
    _, url = project.runserver("--noreload", env=DEVELOPMENT)
    browser.get(url)

    assert browser.title == "Background Tasks Sample"
    for panel, services in (("timed", 1), ("scoped", 1), ("queued", 2)):
        wait_for_count(browser, f"#{panel} .state.running", services)
        assert "web process" in text(browser, f"#{panel}")
    wait_until(browser, lambda: re.search(r"last tick\n\d+ s ago", text(browser, "#timed")))


@pytest.mark.parametrize("queue", ["database", "memory"])
def test_the_messages_of_a_task_appear_without_a_reload(
    browser: Chrome, project: Project, queue: str, tmp_path: Path
) -> None:
    server, url = project.runserver("--noreload", env=DEVELOPMENT)
    server.wait_for_line("Hosting ")
    browser.get(url)

    add_task(browser, queue, steps=3, delay=0.5)
    task_id = added_task(browser)
    browser.execute_script("window.isStillThisPage = true")
    wait_for_count(browser, "#messages li", 3)

    assert texts(browser, "#messages li") == [
        f"Queued Background Task {task_id} has written a step. {n}/3" for n in (1, 2, 3)
    ]
    wait_until(browser, lambda: texts(browser, "#tasks .state") == ["done"])
    assert browser.execute_script("return window.isStillThisPage") is True
    assert complaints(browser) == []
    server.wait_for_line(f"Queued Background Task {task_id} is complete. 3/3")
    assert browser.save_screenshot(str(tmp_path / f"{queue}.png"))


def test_a_task_that_runs_shows_its_progress(browser: Chrome, project: Project) -> None:
    _, url = project.runserver("--noreload", env=DEVELOPMENT)
    browser.get(url)

    add_task(browser, "database", steps=2, delay=60)

    progress = "return document.querySelector('#tasks progress')?.value"
    wait_until(browser, lambda: browser.execute_script(progress) == 1)
    assert texts(browser, "#tasks .state") == ["running"]


def test_the_refresh_leaves_the_focus_and_what_is_typed(browser: Chrome, project: Project) -> None:
    _, url = project.runserver("--noreload", env=DEVELOPMENT)
    browser.get(url)
    add_task(browser, "database", steps=2, delay=1)
    added_task(browser)

    field = browser.find_element(By.NAME, "steps")
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys("17")
    wait_for_count(browser, "#messages li", 2)

    assert browser.switch_to.active_element == field
    assert field.get_attribute("value") == "17"


def test_nothing_is_asked_for_while_the_page_is_hidden(browser: Chrome, project: Project) -> None:
    _, url = project.runserver("--noreload", env=DEVELOPMENT)
    browser.get(url)
    wait_until(browser, lambda: text(browser, "#refresh-status") == "Live")

    browser.execute_script(
        "Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    wait_until(browser, lambda: text(browser, "#refresh-status") == "Paused")
    browser.execute_script(
        "delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))"
    )
    wait_until(browser, lambda: text(browser, "#refresh-status") == "Live")


def test_the_page_says_when_the_server_is_gone(browser: Chrome, project: Project) -> None:
    server, url = project.runserver("--noreload", env=DEVELOPMENT)
    browser.get(url)
    server.terminate()

    wait_until(browser, lambda: "No answer" in text(browser, "#refresh-status"))


def test_it_works_without_javascript(browser: Chrome, project: Project) -> None:
    server, url = project.runserver("--noreload", env=DEVELOPMENT)
    server.wait_for_line("Hosting ")
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(url)

    add_task(browser, "memory", steps=2, delay=0)
    task_id = added_task(browser)
    server.wait_for_line(f"Queued Background Task {task_id} is complete. 2/2")
    browser.find_element(By.LINK_TEXT, "Refresh").click()

    wait_for_count(browser, "#messages li", 2)
    assert text(browser, "#refresh-status") == ""


def test_the_services_may_live_in_a_worker(browser: Chrome, project: Project) -> None:
    _, url = project.runserver("--noreload", env={**DEVELOPMENT, "HOSTING_AUTOSTART": "0"})
    worker = project.start("runworker", "--no-reload", env=DEVELOPMENT)
    worker.wait_for_line("Hosting ")
    browser.get(url)
    wait_until(browser, lambda: "worker process" in text(browser, "#timed"))

    add_task(browser, "memory", steps=1, delay=0)
    wait_until(browser, lambda: "hosts no QueuedHostedService" in text(browser, ".errorlist"))
    assert texts(browser, "#tasks code") == []

    add_task(browser, "database", steps=3, delay=0)
    wait_for_count(browser, "#messages li", 3)


def test_no_width_makes_the_page_scroll_sideways(browser: Chrome, project: Project) -> None:
    _, url = project.runserver("--noreload", env=DEVELOPMENT)
    browser.get(url)
    add_task(browser, "database", steps=1, delay=0)
    wait_until(browser, lambda: texts(browser, "#messages li"))

    for width in (320, 390, 600, 800, 1100, 1600):
        screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": True}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
