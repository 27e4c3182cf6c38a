"""Servers that load the project first and fork their workers afterwards.

Threads do not survive a fork, so the services of such a worker are started in it. When it is ready
for that differs: gunicorn's takes over its signals, and its user and group, only after the fork,
and then calls a hook of its configuration. uWSGI calls a function of its module. Any other fork
that Python makes may be one of a server that the project starts itself; whether it is, the stack
tells. Forks of `multiprocessing` are such forks as well, and are not hosted in.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from hosting.process.servers import frames, place


def call_in_workers(callback: Callable[[], object]) -> None:
    """Call `callback` in every process forked from this one, once a server's worker is set up."""
    uwsgi = sys.modules.get("uwsgi")
    if hasattr(uwsgi, "worker_id"):
        _extend(uwsgi, callback)
    elif hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: _forked(callback))


def _extend(uwsgi: Any, callback: Callable[[], object]) -> None:
    theirs = getattr(uwsgi, "post_fork_hook", None)
    try:
        # It puts a hook of its own in this place, with a chain of functions, whenever it is loaded.
        from uwsgidecorators import postfork_chain
    except Exception:  # it is not there, or refuses to be without a master
        _chain(uwsgi, theirs, callback)
        return
    if theirs not in (None, uwsgi.post_fork_hook):
        postfork_chain.append(theirs)
    postfork_chain.append(callback)


def _chain(uwsgi: Any, theirs: Callable[[], object] | None, callback: Callable[[], object]) -> None:
    def hook() -> None:
        if theirs is not None:
            theirs()
        callback()

    uwsgi.post_fork_hook = hook


def _forked(callback: Callable[[], object]) -> None:
    worker = _gunicorn_worker()
    if worker is None:
        callback()
        return
    theirs = worker.cfg.post_worker_init

    def initialised(worker: Any) -> None:
        callback()
        theirs(worker)

    worker.cfg.set("post_worker_init", initialised)


def _gunicorn_worker() -> Any:
    """The worker that gunicorn's arbiter is forking on this stack, or None."""
    for frame in frames():
        if place(frame) == "gunicorn.arbiter:spawn_worker":
            worker = frame.f_locals.get("worker")
            return worker if hasattr(worker, "cfg") else None
    return None
