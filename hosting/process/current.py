"""The host of this process, for whoever needs it: `hosting.current_host().lifetime.stop()`."""

from __future__ import annotations

import os

from hosting.host import Host

_host: Host | None = None


def current_host() -> Host | None:
    """The host that runs in this process, or None; one inherited through a fork does not count."""
    return _host if _host is not None and _host.pid == os.getpid() else None


def set_current_host(host: Host) -> None:
    """Make `host` the host of this process."""
    global _host
    _host = host
