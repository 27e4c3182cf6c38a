"""The worker: a process that is nothing but a host."""

from __future__ import annotations

import gc
import logging
import os
import signal
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from types import FrameType

from django.utils import autoreload

from hosting.builder import build_host
from hosting.conf import WORKER
from hosting.exceptions import ConfigurationError
from hosting.host import Host
from hosting.lifetime import HostLifetime
from hosting.process import exits, reloading, systemd
from hosting.process.console import Console
from hosting.process.current import set_current_host
from hosting.process.lifeline import line_to_parent
from hosting.process.logs import ensure_logging
from hosting.process.recycling import Limits, Recycling
from hosting.process.stop_signals import StopSignals
from hosting.queues.worker import TaskWorker
from hosting.services import HostedService

logger = logging.getLogger("hosting")


def build_worker(
    only: Collection[str], exclude: Collection[str], limits: Limits, *, interactive: bool
) -> Host:
    """The host of a worker; raises `ConfigurationError` for what is wrong; starts nothing."""
    extra: dict[str, HostedService] = {}
    if interactive:
        extra["hosting:console"] = Console()
    if not limits:
        return build_host(WORKER, only=only, exclude=exclude, extra=extra)
    extra["hosting:recycling"] = recycling = Recycling(limits)
    host = build_host(WORKER, only=only, exclude=exclude, extra=extra)
    if limits.jobs is not None and not host.instances(TaskWorker):
        raise ConfigurationError(
            "--max-jobs counts the jobs of TaskWorkers, and this worker hosts none, allowed: "
            "with a hosting.TaskWorker."
        )
    recycling.watch(lambda: host.instances(TaskWorker))
    recycling.judge()
    return host


def run_worker(host: Host) -> int:
    """Run the host in this process until it is asked to stop; gives the process's exit code."""
    set_current_host(host)
    ensure_logging()
    host.lifetime.started.register(_spare_the_collector)
    stop_signals = StopSignals(_follow_supervisor(host.lifetime))
    with stop_signals, systemd.notifier().hear(host):
        return exit_code(host)


def _follow_supervisor(lifetime: HostLifetime) -> Callable[[], object]:
    """What a stop signal means, which is not the same in a child of a supervisor.

    That asks by the lifeline. A signal that comes to one child alone, from a person or from what
    watches over the memory, is to end this process, not to leave the project with one less.
    """
    supervisor = line_to_parent()
    if supervisor is None:
        return lifetime.stop
    supervisor.when_let_go(lifetime.stop)
    lifetime.started.register(supervisor.say_up)
    return lambda: lifetime.recycle("a signal told it to stop")


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
