"""Hosting inside a web process: called from `AppConfig.ready()`, it decides and returns at once."""

from __future__ import annotations

import logging
import threading

from django.apps import apps

from hosting.builder import build_host
from hosting.conf import WEB
from hosting.exceptions import ConfigurationError
from hosting.host import Host
from hosting.process import reloading, shutdown
from hosting.process.autostart import decide, is_reloader_parent
from hosting.process.current import set_current_host
from hosting.process.facts import gather

logger = logging.getLogger(__name__)

#: The rules of the start gate of which the log tells.
_LOG_LEVELS = {"not understood": logging.ERROR, "unknown": logging.INFO}


def start_if_serving() -> None:
    """Host the project's services in this process if it is one that serves requests."""
    facts = gather()
    decision = decide(facts)
    if level := _LOG_LEVELS.get(decision.rule):
        logger.log(level, "Not hosting: %s", decision.reason)
    hosting = WebHosting()
    if decision.hosts:
        hosting.begin(impatient=not facts.reloader_child)
    if is_reloader_parent(facts):
        reloading.end_children_gracefully()
    elif facts.command == "runserver":
        reloading.follow_parent(hosting.stop)


#: Seconds between two looks for a signal while the host stops.
SIGNAL_LOOK = 0.2


class WebHosting:
    """The host of a web process, on a thread of its own."""

    def __init__(self) -> None:
        self._host: Host | None = None
        self._abandoned = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hosting:host", daemon=True)

    def begin(self, *, impatient: bool) -> None:
        """Start the host as soon as the apps are ready, and see to it that it is stopped.

        `impatient` says whether a signal meanwhile is to end the process.
        """
        shutdown.stop_before_exit(self.stop, impatient=impatient)
        shutdown.stop_before_sigterm_kills(self.stop)
        self._thread.start()

    def stop(self) -> None:
        """Stop the host and wait for it; does nothing if it never came to be, or has stopped."""
        self._abandoned.set()
        if self._host is not None:
            self._host.lifetime.stop()
            # Not a join: one that a signal interrupts takes the thread for ended. Nor one long
            # wait: it would sleep through a signal that comes just before it begins.
            while not self._ended.wait(SIGNAL_LOOK):
                pass

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
            logger.error("Not hosting, the settings are wrong:\n%s", error)
            return
        set_current_host(host)
        if self._abandoned.is_set():
            return
        try:
            host.run()
        except Exception:
            # The host has logged it. The web process goes on serving, without services.
            logger.error("The host has ended; this process serves on without its services")
