"""Starts servers for the tests, and skips those that are not installed, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.processes import Databases, Project, SQLiteDatabases
from tests.projects import declare, entry
from tests.servers.launches import Launch
from tests.servers.serving import Serving

#: A service that takes its time to stop.
RECORDER = entry("Recorder", stop_seconds=0.4)

URLS = {"ROOT_URLCONF": "tests.projects.urls"}

#: What the server's processes host unless a test says otherwise.
DECLARED = declare(RECORDER, settings=URLS)

Start = Callable[..., Serving]


@pytest.fixture
def start(project_databases: Databases, tmp_path: Path) -> Iterator[Start]:
    """Start a server, with services, more variables and more options if need be.

    At the end of the test nothing may have gone wrong unseen in any of its processes.
    """
    servers: list[Serving] = []
    with ExitStack() as opened:

        def started(
            launch: Launch,
            *options: str,
            declared: dict[str, str] = DECLARED,
            env: dict[str, str] | None = None,
        ) -> Serving:
            if missing := launch.missing():
                pytest.skip(missing)
            databases = project_databases
            if launch.on_sqlite:
                databases = SQLiteDatabases(tmp_path)
            project = opened.enter_context(Project(opened.enter_context(databases.fresh())))
            # The servers' own warnings are not what is tested.
            variables = {"PYTHONWARNINGS": "default", **declared, **(env or {})}
            servers.append(Serving(project, launch, variables, tmp_path, *options))
            return servers[-1]

        yield started
    for server in servers:
        assert server.may_fail or server.tracebacks() == [], server.process.output
