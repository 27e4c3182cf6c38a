"""The worker processes of a trial."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

#: Seconds that a worker gets to end when it is told to.
PATIENCE = 15

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a worker and its children have used."""

    cpu: float  # seconds
    rss: float  # MB


class Worker:
    """One worker, which leads a session of its own so that its children are found.

    Its environment is that of this process, unless another is given.
    """

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command, env=environment, stdout=output, stderr=output, start_new_session=True
            )
        self._log = log

    def require_alive(self) -> None:
        """Raises RuntimeError with the end of the worker's output if it has ended."""
        if (code := self._process.poll()) is not None:
            output = self._log.read_text(errors="replace").strip()[-800:]
            raise RuntimeError(f"the process ended with {code}: {output}")

    @property
    def pid(self) -> int:
        return self._process.pid

    def usage(self) -> Usage:
        cpu = rss = 0
        for fields in _processes():
            if int(fields[3]) == self._process.pid:  # the session
                cpu += int(fields[11]) + int(fields[12])
                rss += int(fields[21]) * _PAGE
        return Usage(cpu / _TICKS, rss / 1e6)

    def end(self) -> None:
        """Ask it to end, and kill it and its children after a while."""
        self._process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def processor_seconds(parent: int) -> float:
    """What the children of a process have used that are there now."""
    used = (int(each[11]) + int(each[12]) for each in _processes() if int(each[1]) == parent)
    return sum(used) / _TICKS


def _processes() -> Iterator[list[str]]:
    """The fields of /proc/PID/stat from the third on, of every process."""
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            yield (directory / "stat").read_text().rpartition(")")[2].split()


@contextmanager
def running(command: Sequence[str], log: Path, processes: int = 1) -> Iterator[list[Worker]]:
    """So many workers, which are ended with the block."""
    workers = [Worker(command, log) for _ in range(processes)]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.end()
