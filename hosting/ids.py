"""Ids of jobs, in the order in which they were made, and the name of this process."""

from __future__ import annotations

import os
import secrets
import socket
import time
import uuid

from hosting import forks

_lock = forks.lock()
_last = 0
_name = ("", 0)


def uuid7() -> uuid.UUID:
    """A UUID of version 7 (RFC 9562, method 3): later calls in this process give greater ids.

    The first 60 free bits are the time in units of 1/4096 ms, the other 62 are random.
    """
    return _made(_ticks(1)[0], int.from_bytes(os.urandom(8)))


def uuid7s(count: int) -> list[uuid.UUID]:
    """So many of them, in order, which takes half as long as making each by itself."""
    chance = memoryview(os.urandom(8 * count)).cast("Q")
    return [_made(ticks, chance[place]) for place, ticks in enumerate(_ticks(count))]


def _ticks(count: int) -> range:
    """So many moments, in units of 1/4096 ms, that nobody else gets."""
    global _last
    with _lock:
        first = max(time.time_ns() * 4096 // 1_000_000, _last + 1)
        _last = first + count - 1
    return range(first, first + count)


def _made(ticks: int, chance: int) -> uuid.UUID:
    return uuid.UUID(
        int=(ticks >> 12) << 80 | 0x7 << 76 | (ticks & 0xFFF) << 64 | 0b10 << 62 | chance >> 2
    )


def uuid7_at(seconds: float) -> uuid.UUID:
    """Before every id that was made at this moment, in seconds since 1970, or later."""
    return _made(max(0, int(seconds * 1000)) << 12, 0)


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
