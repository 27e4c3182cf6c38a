"""How much memory this process takes."""

from __future__ import annotations

import os
import subprocess

MB = 1024 * 1024

#: Linux says it there, in pages; the second number is of those that are resident.
STATM = "/proc/self/statm"


def resident() -> int:
    """The resident set of this process in bytes; raises OSError where that cannot be found out."""
    try:
        with open(STATM) as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except FileNotFoundError:
        return _as_ps_says()


def _as_ps_says() -> int:
    # POSIX has it in units of 1024 bytes.
    command = ["ps", "-o", "rss=", "-p", str(os.getpid())]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    if not said.strip().isdigit():
        raise OSError(f"ps does not say how much memory this process takes: {said!r}")
    return int(said) * 1024
