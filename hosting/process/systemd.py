"""What a worker tells the service manager that started it, by the notify protocol of systemd.

Whoever sets NOTIFY_SOCKET hears when the services have started, that they stop, how they are, and,
if it asks for that, a sign of life twice in WATCHDOG_USEC, as long as the process is live
(https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html).
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from hosting.host import Host
from hosting.observability.health import Subject, live, services
from hosting.signals import service_condition_changed, service_state_changed

logger = logging.getLogger(__name__)


class Silence:
    """Who is told where no service manager listens: nobody."""

    watchdog: float | None = None  # seconds within which a sign of life is wanted

    def tell(self, *words: str) -> None:
        """Tell the service manager, such as "READY=1"."""

    def hear(self, host: Host) -> AbstractContextManager[object]:
        """Have the service manager hear of this host until the block ends."""
        return ExitStack()


class Notifier(Silence):
    """A service manager at a socket, whose name begins with "@" if it is abstract.

    It wants a sign of life every `watchdog` seconds; None: never.
    """

    def __init__(self, address: str, watchdog: float | None = None) -> None:
        self.watchdog = watchdog
        self._address = f"\0{address[1:]}" if address.startswith("@") else address

    def tell(self, *words: str) -> None:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.settimeout(1.0)
                manager.sendto("\n".join(words).encode(), self._address)
        except OSError as error:
            logger.warning("The service manager at NOTIFY_SOCKET cannot be told: %s", error)

    def hear(self, host: Host) -> AbstractContextManager[object]:
        return _Report(host, self)


def notifier() -> Silence:
    """Whom the environment asks to tell; taken out of it, as child processes are not to tell."""
    address = os.environ.pop("NOTIFY_SOCKET", "")
    period, pid = os.environ.pop("WATCHDOG_USEC", ""), os.environ.pop("WATCHDOG_PID", "")
    if not address.startswith(("/", "@")):
        return Silence()
    is_wanted = period.isdecimal() and int(period) > 0 and pid in ("", str(os.getpid()))
    return Notifier(address, int(period) / 1_000_000 if is_wanted else None)


class _Report(ExitStack):
    """Tells of a host from a thread: at once what has changed, and now and then that it lives."""

    def __init__(self, host: Host, manager: Notifier) -> None:
        super().__init__()
        self._host, self._manager = host, manager
        self._turn = threading.Lock()
        self._news = threading.Event()
        self._is_over = False
        for signal in (service_state_changed, service_condition_changed):
            signal.connect(self._note_news)
            self.callback(signal.disconnect, self._note_news)
        host.lifetime.started.register(lambda: self._tell("READY=1"))
        host.lifetime.stopping.register(lambda: self._tell("STOPPING=1"))
        self._thread = threading.Thread(target=self._run, name="hosting:systemd", daemon=True)
        self._thread.start()
        self.callback(self._end)

    def _end(self) -> None:
        self._is_over = True
        self._news.set()
        self._thread.join(1.0)

    def _note_news(self, **_: Any) -> None:
        self._news.set()

    def _run(self) -> None:
        pause = self._manager.watchdog and self._manager.watchdog / 2
        while not self._is_over:
            self._news.wait(pause)
            self._news.clear()
            self._tell(*(["WATCHDOG=1"] if pause and self._goes_on() else []))

    def _tell(self, *words: str) -> None:
        with self._turn:  # else "starting" of one thread could follow "READY=1" of another
            self._manager.tell(*words, self._status())

    def _goes_on(self) -> bool:
        # A stop has a deadline of its own, also one because of a failure.
        is_stopping = self._host.lifetime.stop_requested.is_cancelled
        return is_stopping or live(Subject(self._host)).is_good

    def _status(self) -> str:
        lifetime = self._host.lifetime
        if lifetime.stop_requested.is_cancelled:
            reason = lifetime.failure or lifetime.recycling
            because = f", because {reason}" if reason else ""
            word = "stopped" if lifetime.stopped.is_cancelled else "stopping"
            return f"STATUS={word}{because}"
        if not lifetime.started.is_cancelled:
            return "STATUS=starting"
        reasons = services(Subject(self._host)).reasons
        names = [name for name in self._host.names() if ":" not in name]
        return "STATUS=" + ("; ".join(reasons) or f"hosting {', '.join(names) or 'no services'}")
