"""Servers are recognised by what stands on the stack, or by the module that they put in."""

from types import SimpleNamespace
from typing import Any

import pytest

from hosting.process.servers import Role, call_stack, has_green_threads, main_stack, recognise

SERVES, WATCHES = Role.SERVES, Role.WATCHES

#: The frames that count, innermost first, as they were seen on real servers.
STACKS = [
    # server, role, stack
    (
        "gunicorn",
        SERVES,
        "gunicorn.util:import_app gunicorn.workers.base:load_wsgi gunicorn.arbiter:spawn_worker "
        "gunicorn.arbiter:run __main__:<module>",
    ),
    ("gunicorn", WATCHES, "gunicorn.util:import_app gunicorn.arbiter:setup gunicorn.app.base:run"),
    ("gunicorn", WATCHES, "gunicorn.app.base:load gunicorn.app.base:run"),  # --check-config
    ("gunicorn", WATCHES, "gunicorn.arbiter:spawn_worker gunicorn.arbiter:run"),  # pre_fork
    ("gunicorn", SERVES, "gunicorn.workers.base:init_process gunicorn.arbiter:spawn_worker"),
    ("gunicorn", WATCHES, "gunicorn.dirty.arbiter:spawn_worker gunicorn.arbiter:run"),
    ("gunicorn", SERVES, "gunicorn.workers.gthread:handle concurrent.futures.thread:run"),
    ("gunicorn", SERVES, "uvicorn.lifespan.on:main gunicorn.workers.base:init_process"),
    ("uvicorn", SERVES, "uvicorn.importer:import_from_string uvicorn.config:load_app"),
    ("daphne", SERVES, "daphne.cli:load_asgi_app daphne.cli:run __main__:<module>"),
    ("hypercorn", SERVES, "hypercorn.utils:load_application hypercorn.asyncio.run:asyncio_worker"),
    ("hypercorn", SERVES, "hypercorn.utils:load_application hypercorn.trio.run:trio_worker"),
    ("hypercorn", WATCHES, "hypercorn.utils:load_application hypercorn.run:run"),  # --reload
    ("granian", SERVES, "granian._internal:load_module granian.server.mp:wrapped"),
    ("waitress", SERVES, "pkgutil:resolve_name waitress.runner:run __main__:<module>"),
    ("waitress", SERVES, "waitress.task:service threading:run"),
    (None, None, "gunicornish:run my.gunicorn:run __main__:<module>"),
    (None, None, "django.core.management:execute __main__:<module>"),
    (None, None, ""),
]


@pytest.mark.parametrize(
    ("server", "role", "stack"), STACKS, ids=[f"{row[0]}-{row[2][:40]}" for row in STACKS]
)
def test_the_stack_tells(server: str | None, role: Role | None, stack: str) -> None:
    assert recognise(stack.split(), {}) == (server and (server, role))


@pytest.mark.parametrize(
    ("modules", "found"),
    [
        ({"uwsgi": SimpleNamespace(worker_id=lambda: 0)}, ("uWSGI", WATCHES)),
        ({"uwsgi": SimpleNamespace(worker_id=lambda: 2)}, ("uWSGI", SERVES)),
        ({"uwsgi": SimpleNamespace()}, None),  # somebody's own module of that name
        ({"mod_wsgi": SimpleNamespace(process_group="")}, ("mod_wsgi", SERVES)),
        ({"mod_wsgi": SimpleNamespace()}, None),  # the package that writes its configuration
        ({"gunicorn": SimpleNamespace(), "uvicorn": SimpleNamespace()}, None),  # imported only
    ],
)
def test_so_does_the_module_of_a_server_in_c(modules: dict[str, Any], found: object) -> None:
    assert recognise(["__main__:<module>"], modules) == found


@pytest.mark.parametrize(
    ("modules", "green"),
    [
        ({}, False),
        ({"gevent.monkey": SimpleNamespace(is_module_patched=lambda name: False)}, False),
        ({"gevent.monkey": SimpleNamespace(is_module_patched="threading".__eq__)}, True),
        ({"eventlet.patcher": SimpleNamespace(is_monkey_patched="thread".__eq__)}, True),
    ],
)
def test_green_threads_are_known_by_who_has_put_them_there(
    modules: dict[str, Any], green: bool
) -> None:
    assert has_green_threads(modules) is green


def test_the_stack_of_this_very_thread() -> None:
    def caller() -> list[str]:
        return call_stack()

    assert f"{__name__}:caller" in caller()
    assert f"{__name__}:test_the_stack_of_this_very_thread" in main_stack()
