"""The exit codes of a worker process, and how its end is told in words."""

from __future__ import annotations

import signal

CLEAN = 0  # everything stopped because it was asked to
FAILED = 1

#: The worker is to be replaced, and has not failed (`HostLifetime.recycle`). It is EX_TEMPFAIL of
#: sysexits.h: "the user is invited to try again later".
RECYCLE = 75


def in_words(code: int) -> str:
    """What became of a process whose exit code, negative for a signal, is this."""
    if code >= 0:
        return f"exited with {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # a real-time signal
        name = f"signal {-code}"
    return f"was killed by {name}"
