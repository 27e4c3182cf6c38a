"""The worker: a process that is nothing but a host."""

from __future__ import annotations

import gc
import logging
import os
import signal
import threading
from contextlib import suppress
from types import FrameType

from django.utils import autoreload

from hosting.host import Host
from hosting.process import exits, reloading
from hosting.process.current import set_current_host
from hosting.process.logs import ensure_logging
from hosting.process.stop_signals import StopSignals

logger = logging.getLogger("hosting")


def run_worker(host: Host) -> int:
    """Run the host in this process until it is asked to stop; gives the process's exit code."""
    set_current_host(host)
    ensure_logging()
    host.lifetime.started.register(_spare_the_collector)
    with StopSignals(host.lifetime.stop):
        return exit_code(host)


def _spare_the_collector() -> None:
    """Have the garbage collector leave alone what was loaded: it stays for good, and is much."""
    gc.collect()
    gc.freeze()


def exit_code(host: Host) -> int:
    """Run the host; gives the code that tells how it ended (see `exits`)."""
    try:
        host.run()
    except Exception as error:
        logger.error("The worker has failed: %s", error)
        return exits.FAILED
    if host.lifetime.failure:
        logger.error("The worker has stopped because %s", host.lifetime.failure)
        return exits.FAILED
    if host.lifetime.recycling:
        logger.info("The worker has stopped to be replaced: %s", host.lifetime.recycling)
        return exits.RECYCLE
    return exits.CLEAN


def is_reloader_parent() -> bool:
    """Whether the autoreloader has not started its child yet, which is to be the worker."""
    return os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) != "true"


def run_reloading_worker(host: Host) -> int:
    """As `run_worker`, in a child of the autoreloader: ends gracefully when a file changes, too."""
    set_current_host(host)
    ensure_logging()
    return _ReloadingWorker(host).run()


class _ReloadingWorker:
    """The main thread watches the files, another runs the host; whichever ends first ends both."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._code: int | None = None
        self._leaving = False

    def run(self) -> int:
        reloader = autoreload.get_reloader()
        logger.info("Watching for file changes with %s", type(reloader).__name__)
        reloading.when_parent_lets_go(self._host.lifetime.stop)
        with StopSignals(self._host.lifetime.stop):
            signal.signal(signal.SIGUSR2, self._host_ended)
            try:
                autoreload.start_django(reloader, self._run_host)
            except _HostEnded:
                return self._code or 0
            finally:
                self._leaving = True
                with suppress(ExceptionGroup):  # which the host has logged
                    self._host.stop()
        return 0

    def _run_host(self) -> None:
        self._code = exit_code(self._host)
        if not self._leaving:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR2)

    def _host_ended(self, number: int, frame: FrameType | None) -> None:
        if not self._leaving:
            raise _HostEnded


class _HostEnded(BaseException):
    """Raised in the main thread to end its watch over the files."""
