"""A real browser, for the tests of what the page does."""

import os
import shutil
from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,1000",
)


def installed(*names: str) -> str:
    """
    The path of the first program of ``names`` that is installed.

    Without one the test is skipped, or fails where REQUIRE_BROWSER=1 promises it.
    """
    for name in names:
        if path := shutil.which(name):
            return path
    reason = f"{names[0]} is not installed"
    if os.environ.get("REQUIRE_BROWSER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Headless Chromium with a profile of its own, driven by Selenium."""
    profile = tmp_path_factory.mktemp("chromium")
    options = ChromeOptions()
    options.binary_location = installed("chromium", "chromium-browser", "google-chrome")
    for argument in (*ARGUMENTS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    service = ChromeService(executable_path=installed("chromedriver", "chromium-chromedriver"))
    driver = Chrome(options=options, service=service)
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium: Chrome) -> Iterator[Chrome]:
    """
    The browser with a new tab: nothing emulated, no cookie, nothing in the cache.

    One start for many tests, as a start takes longer than most of them.
    """
    [first] = chromium.window_handles
    chromium.switch_to.new_window("tab")
    chromium.execute_cdp_cmd("Network.clearBrowserCookies", {})
    chromium.execute_cdp_cmd("Network.clearBrowserCache", {})
    chromium.get_log("browser")  # forgets what the tab before has left there
    yield chromium
    chromium.close()
    chromium.switch_to.window(first)
