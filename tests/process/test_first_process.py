"""A worker as the first process of a container, which is not killed by signals that it ignores."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ManagedProcess, Project
from tests.projects import declare, events, wait_for_fact

UNSHARE = shutil.which("unshare") or "unshare"


def can_unshare() -> bool:
    """Whether this user may make a namespace of processes."""
    try:
        return subprocess.run([UNSHARE, "-p", "-f", "true"], capture_output=True).returncode == 0
    except OSError:
        return False


@pytest.fixture
def first(project: Project) -> ManagedProcess:
    """A worker that is process 1 of its namespace, with a service."""
    return project.start(
        *("-p", "-f", "--kill-child", sys.executable, "manage.py", "runworker"),
        "--no-reload",
        env=declare("Recorder"),
        program=(),
        executable=UNSHARE,
    )


@pytest.mark.process
@pytest.mark.skipif(not can_unshare(), reason="no namespace can be made here")
def test_it_stops_gracefully(first: ManagedProcess) -> None:
    assert wait_for_fact(first, "Recorder execute").pid == 1

    children = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGTERM)

    assert first.wait_exit() == 0
    assert events(first)[-1] == "Recorder close"
