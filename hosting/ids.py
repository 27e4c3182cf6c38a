"""Ids of jobs, in the order in which they were made, and the name of this process."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
import uuid

_lock = threading.Lock()
_last = 0
_name = ("", 0)


def uuid7() -> uuid.UUID:
    """A UUID of version 7 (RFC 9562, method 3): later calls in this process give greater ids.

    The first 60 free bits are the time in units of 1/4096 ms, the other 62 are random.
    """
    global _last
    with _lock:
        ticks = time.time_ns() * 4096 // 1_000_000
        _last = ticks = max(ticks, _last + 1)
    value = (ticks >> 12) << 80 | 0x7 << 76 | (ticks & 0xFFF) << 64 | 0b10 << 62
    return uuid.UUID(int=value | int.from_bytes(os.urandom(8), "big") >> 2)


def process_name() -> str:
    """The name of this process in the fleet, under 64 characters: host, pid and a random end.

    It stays the same for as long as the process lives; a fork gets a name of its own.
    """
    global _name
    name, pid = _name
    if pid != os.getpid():
        pid = os.getpid()
        name = f"{socket.gethostname()[:40]}:{pid}:{secrets.token_hex(4)}"
        _name = (name, pid)
    return name
