"""The occasions on which the start gate is asked, and what comes of its decision.

The first is `AppConfig.ready()`. Where that runs in a process that does not serve, or is not known
to, the answer may be another later: in a process forked from it, when a server begins its lifespan
(ASGI), or at the first request, which proves that the process serves. Whatever comes first begins
to host; a process does so once.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_started

from hosting import forks
from hosting.process import reloading
from hosting.process.autostart import decide, is_reloader_parent
from hosting.process.current import set_absence
from hosting.process.facts import ProcessFacts, gather
from hosting.process.inherited import renounce_connections
from hosting.process.logs import ensure_logging
from hosting.process.prefork import call_in_workers
from hosting.process.web import WebHosting

logger = logging.getLogger(__name__)

#: The rules of the start gate of which the log tells.
_LOG_LEVELS = {
    "not understood": logging.ERROR,
    "green threads": logging.WARNING,
    "switched off": logging.INFO,
    "unknown": logging.INFO,
}

#: The rules after which a process forked from this one, or a request, may show that it serves.
_PROVISIONAL = {"server's parent", "other command", "helper", "unknown"}

#: Requests that no known server makes before that is settled: the project may make some itself.
TRIES = 10

_deciding = forks.lock()
_hosting: WebHosting | None = None
_has_lifespan = False
_tries_left = TRIES
_loaded_in: int = 0  # id of the process in which the project was loaded


def at_ready() -> None:
    """Host the project's services in this process if it is one that serves requests."""
    global _loaded_in
    _loaded_in = os.getpid()
    facts = gather()
    decision = decide(facts)
    if level := _LOG_LEVELS.get(decision.rule):
        logger.log(level, "Not hosting in process %d: %s", os.getpid(), decision.reason)
    if decision.rule == "not understood":
        set_absence("it is not understood whether it is to host")
    if decision.hosts:
        _begin(facts)
    if decision.hosts or decision.rule in _PROVISIONAL:
        request_started.connect(at_first_request)
    if decision.rule in _PROVISIONAL:
        call_in_workers(in_forked_process)
    if is_reloader_parent(facts):
        reloading.end_children_gracefully()
    elif facts.command == "runserver":
        reloading.follow_parent(stop)


def in_forked_process() -> None:
    """As `at_ready`, in a process forked from the one that loaded the project and does not host."""
    if _hosting is None:
        _begin_if_serving(gather())


def at_first_request(sender: Any, **_: Any) -> None:
    """As `at_ready`, once a request shows that this process serves."""
    global _tries_left
    if not (isinstance(sender, type) and issubclass(sender, WSGIHandler | ASGIHandler)):
        return  # a test client, which is no server
    facts = gather(request=True)
    _begin_if_serving(facts)
    _tries_left -= 1
    is_unknown = decide(facts).rule == "unknown"
    if is_unknown and _tries_left > 0:
        return
    if request_started.disconnect(at_first_request) and is_unknown:
        logger.warning(
            "%r serves requests by a server that is not recognised, so it hosts no services; set "
            "HOSTING_AUTOSTART=1 in its environment if it is to, or 0 if not",
            facts.program,
        )


def at_lifespan() -> None:
    """As `at_ready`, when an ASGI server begins to serve, having installed its handlers.

    A host whose server has ended, and begins once more in the same process, is followed by another.
    """
    global _has_lifespan, _hosting
    _has_lifespan = True
    if _hosting is not None and _hosting.has_ended:
        _hosting = None
    _begin_if_serving(gather(lifespan=True))
    if _hosting is not None and _is_hosting():
        _hosting.join_handlers()


def stop() -> None:
    """Stop the host of this process, if it has one, and wait for it."""
    if _hosting is not None:
        _hosting.stop()


def _begin_if_serving(facts: ProcessFacts) -> None:
    forks.renew_if_forked()  # where no hook did; not while a lock is held, as it frees them
    try:
        with _deciding:
            if not _is_hosting() and decide(facts).hosts:
                _begin(facts)
    except Exception:
        set_absence("it could not begin to host")
        logger.exception("Not hosting in process %d", os.getpid())


def _is_hosting() -> bool:
    return _hosting is not None and _hosting.pid == os.getpid()


def _begin(facts: ProcessFacts) -> None:
    global _hosting
    if os.getpid() != _loaded_in:
        renounce_connections()
    ensure_logging()
    _hosting = WebHosting(
        impatient=not facts.reloader_child,
        second_kills=facts.command == "runserver",
        goes_first=lambda: facts.server == "uvicorn" and not _has_lifespan,
        hears_once=facts.server == "uvicorn",
    )
