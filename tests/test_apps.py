"""What `AppConfig.ready()` does: register the checks, and ask the start gate."""

import threading

from django.apps import apps
from django.core import checks

from hosting.checks import check_hosting
from hosting.process.current import current_host


def test_the_checks_are_registered_under_a_tag_of_their_own() -> None:
    assert check_hosting in checks.registry.registry.get_checks()
    assert checks.tag_exists("hosting")


def test_under_test_nothing_is_hosted() -> None:
    before = threading.enumerate()

    apps.get_app_config("hosting").ready()

    assert current_host() is None
    assert threading.enumerate() == before
