"""Hosting inside a web process, beside the requests that it serves."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

from django.apps import apps

from hosting.builder import build_host
from hosting.conf import WEB
from hosting.exceptions import ConfigurationError
from hosting.host import Host
from hosting.process.current import set_absence, set_current_host
from hosting.process.shutdown import stop_before_exit
from hosting.process.web_signals import StopWithSignals, in_main_thread

logger = logging.getLogger(__name__)

#: Seconds between two looks for a signal while the host stops.
SIGNAL_LOOK = 0.2


class WebHosting:
    """The host of a web process, on a thread of its own, from now on until the process ends.

    `impatient` says whether Ctrl-C, while the process waits for the host's stop, is to end it;
    the others are those of `StopWithSignals`.
    """

    def __init__(
        self,
        *,
        impatient: bool,
        second_kills: bool,
        goes_first: Callable[[], bool],
        hears_once: bool,
    ) -> None:
        self.pid = os.getpid()
        set_absence("its services have not started yet")
        self._host: Host | None = None
        self._abandoned = threading.Event()
        self._ended = threading.Event()
        self._signals = StopWithSignals(
            self.stop,
            self._ended.is_set,
            second_kills=second_kills,
            goes_first=goes_first,
            hears_once=hears_once,
        )
        in_main_thread(self._signals.join_handlers)
        stop_before_exit(self.stop, impatient=impatient)
        threading.Thread(target=self._run, name="hosting:host", daemon=True).start()

    def stop(self) -> None:
        """Stop the host and wait for it; does nothing if it has stopped, or in a forked process."""
        if os.getpid() != self.pid:
            return
        self._abandoned.set()
        if self._host is not None:
            self._host.lifetime.stop()
            # Not a join: one that a signal interrupts takes the thread for ended. Nor one long
            # wait: it would sleep through a signal that comes just before it begins.
            while not self._ended.wait(SIGNAL_LOOK):
                pass

    @property
    def has_ended(self) -> bool:
        """Whether nothing is hosted any more."""
        return self._ended.is_set()

    def join_handlers(self) -> None:
        """Notice stop signals for which the server has installed its handlers only now."""
        self._signals.join_handlers()

    def _run(self) -> None:
        try:
            self._host_services()
        finally:
            self._ended.set()

    def _host_services(self) -> None:
        apps.ready_event.wait()
        try:
            self._host = host = build_host(WEB)
        except ConfigurationError as error:
            set_absence("the settings of its services are wrong")
            logger.error(
                "Not hosting in process %d, the settings are wrong, as manage.py check shows:\n%s",
                self.pid,
                error,
            )
            return
        set_current_host(host)
        if self._abandoned.is_set():
            return
        try:
            host.run()
        except Exception:
            # The host has logged it. The web process goes on serving, without services.
            logger.error("The host has ended; this process serves on without its services")
