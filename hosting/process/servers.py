"""The servers whose processes are recognised, and by what.

A process serves if the project is loaded, or called, by the part of a server that serves: then that
part stands on the call stack. The name of the program proves nothing, as the parent that only
watches over its workers has the same. Servers in C (uWSGI, mod_wsgi) are recognised by the module
that they put into the interpreter.

Each server in here has its tests in `tests/servers`: a name alone would be a guess.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import FrameType
from typing import Any


class Role(StrEnum):
    """What a process is to its server."""

    SERVES = "serves requests"
    WATCHES = "starts and watches those that serve"


@dataclass(frozen=True, slots=True)
class Server:
    """A server written in Python: its package, and the modules in it of which only a process that
    serves has a frame on its stack; none means any frame of the package.
    """

    package: str
    serving: tuple[str, ...] = ()

    def role(self, stack: Sequence[str]) -> Role | None:
        """What this process is to the server, or None if the server is not on the stack."""
        mine = [frame for frame in stack if frame.partition(":")[0].split(".")[0] == self.package]
        if not mine:
            return None
        serves = not self.serving or any(self._is_serving(frame) for frame in mine)
        return Role.SERVES if serves else Role.WATCHES

    def _is_serving(self, frame: str) -> bool:
        module = frame.partition(":")[0]
        return any(module == each or module.startswith(f"{each}.") for each in self.serving)


SERVERS = (
    # Before uvicorn, whose worker class it runs. Its arbiter loads the project with --preload.
    Server("gunicorn", ("gunicorn.workers",)),
    Server("uvicorn"),
    Server("daphne"),
    # Its parent loads the project with --reload, to learn which files to watch.
    Server("hypercorn", ("hypercorn.asyncio", "hypercorn.trio")),
    Server("granian"),
    Server("waitress"),
)


#: The names of all servers that are recognised.
NAMES = (*(server.package for server in SERVERS), "uWSGI", "mod_wsgi")


def recognise(stack: Sequence[str], modules: Mapping[str, Any]) -> tuple[str, Role] | None:
    """The server of this process by name, and what the process is to it; None if there is none.

    `stack` has the frames as "module:function", `modules` what is loaded, by name.
    """
    uwsgi: Any = modules.get("uwsgi")
    if hasattr(uwsgi, "worker_id"):
        # Without a master it is 0 as well until the project is loaded, and 1 after that.
        return "uWSGI", Role.SERVES if uwsgi.worker_id() else Role.WATCHES
    if hasattr(modules.get("mod_wsgi"), "process_group"):  # else the package that sets it up
        return "mod_wsgi", Role.SERVES
    for server in SERVERS:
        if role := server.role(stack):
            return server.package, role
    return None


def has_green_threads(modules: Mapping[str, Any]) -> bool:
    """Whether gevent or eventlet have put greenlets in the place of threads in this process."""
    gevent, eventlet = modules.get("gevent.monkey"), modules.get("eventlet.patcher")
    return bool(
        (gevent and gevent.is_module_patched("threading"))
        or (eventlet and eventlet.is_monkey_patched("thread"))
    )


def call_stack() -> list[str]:
    """Who has called this, innermost first, as "module:function"."""
    return [place(frame) for frame in frames()]


def main_stack() -> list[str]:
    """Where the main thread is, likewise."""
    main = sys._current_frames().get(threading.main_thread().ident or 0)
    return [place(frame) for frame in frames(main)]


def place(frame: FrameType) -> str:
    """The frame as "module:function"."""
    return f"{frame.f_globals.get('__name__')}:{frame.f_code.co_name}"


def frames(frame: FrameType | None = None) -> Iterator[FrameType]:
    """This frame, or the caller's, and those that have called it, innermost first."""
    frame = frame or sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back
