"""The host of this process, for whoever needs it: `hosting.current_host().lifetime.stop()`."""

from __future__ import annotations

import os

from hosting.host import Host

_host: Host | None = None
_absence: tuple[int, str] = (0, "")  # a process, and why it has no host though it is to have one


def current_host() -> Host | None:
    """The host that runs in this process, or None; one inherited through a fork does not count."""
    return _host if _host is not None and _host.pid == os.getpid() else None


def set_current_host(host: Host) -> None:
    """Make `host` the host of this process."""
    global _host
    _host = host


def absence() -> str:
    """Why this process has no host though it is to have one; "" where nothing is missing."""
    pid, reason = _absence
    return reason if pid == os.getpid() and current_host() is None else ""


def set_absence(reason: str) -> None:
    """Say why this process, which is to have a host, has none yet."""
    global _absence
    _absence = (os.getpid(), reason)
