"""System checks: what `hosting.conf` finds wrong, as `manage.py check` prints it."""

from __future__ import annotations

import os
from typing import Any

from django.core.checks import CheckMessage, Error

from hosting.conf import judge
from hosting.exceptions import ConfigurationError
from hosting.process.facts import explicit_wish


def check_hosting(**kwargs: Any) -> list[CheckMessage]:
    """`HOSTED_SERVICES`, `HOSTING`, and the services that apps ship."""
    problems = judge()[1]
    messages: list[CheckMessage] = [Error(str(problem), id=problem.id) for problem in problems]
    if not problems:
        messages += _check_environment()
    return messages


def _check_environment() -> list[CheckMessage]:
    try:
        explicit_wish(os.environ)
    except ConfigurationError as error:
        return [Error(str(error), id="hosting.E023")]
    return []
