"""What a process can know of itself, gathered in one place for `autostart.decide`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from django.utils.autoreload import DJANGO_AUTORELOAD_ENV

from hosting.conf import load_settings
from hosting.conf.values import autostart
from hosting.exceptions import ConfigurationError
from hosting.process.servers import (
    Role,
    call_stack,
    frames,
    has_green_threads,
    main_stack,
    recognise,
)

#: The environment variable that overrides `HOSTING["AUTOSTART"]`.
AUTOSTART_VARIABLE = "HOSTING_AUTOSTART"

_MANAGEMENT_PROGRAMS = ("manage.py", "django-admin", "django-admin.py")


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """The facts on which the decision to host rests."""

    program: str  # name of the program, such as "manage.py" or "gunicorn"
    server: str = ""  # the server that loads or calls the project in this process, if it is known
    role: Role | None = None  # what this process is to that server
    lifespan: bool = False  # a server has begun its lifespan here, as ASGI has it
    request: bool = False  # a request has arrived here
    green_threads: bool = False  # threads are greenlets, which a blocking call stops all at once
    helper: bool = False  # `multiprocessing` has started this process
    command: str | None = None  # the management command, if it is one
    arguments: tuple[str, ...] = ()  # what follows the program, or the command
    reloader_child: bool = False  # Django's autoreloader started this process
    under_test: bool = False  # a test runner runs in this process
    autostart: bool | None = None  # explicit wish; None is "auto"
    autostart_source: str = 'HOSTING["AUTOSTART"]'  # who expressed it
    autostart_problem: str = ""  # why the wish is not understood, if it is not


def gather(*, lifespan: bool = False, request: bool = False) -> ProcessFacts:
    """The facts of this process, as its stack shows them at this moment.

    So does the stack of the main thread at a `request`, which an asynchronous server may have
    handed to any thread.
    """
    argv, environ = sys.argv, os.environ
    stack = [*call_stack(), *(main_stack() if request else ())]
    server, role = recognise(stack, sys.modules) or ("", None)
    command, arguments = management_command(_command_line() or argv)
    facts = ProcessFacts(
        program=PurePath(argv[0]).name if argv else "",
        server=server,
        role=role,
        lifespan=lifespan,
        request=request,
        green_threads=has_green_threads(sys.modules),
        helper=_is_helper(),
        command=command,
        arguments=arguments,
        reloader_child=environ.get(DJANGO_AUTORELOAD_ENV) == "true",
        under_test="pytest" in sys.modules or command == "test",
    )
    try:
        wish, source = explicit_wish(environ)
    except ConfigurationError as error:
        return replace(facts, autostart_problem=str(error).rstrip("."))
    return replace(facts, autostart=wish, autostart_source=source)


def _is_helper() -> bool:
    # Such a process has the arguments and the environment of the one that started it.
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


def explicit_wish(environ: Mapping[str, str]) -> tuple[bool | None, str]:
    """What the environment, or else the setting, says about hosting in web processes.

    Raises `ConfigurationError` if that is not understood.
    """
    if AUTOSTART_VARIABLE in environ:
        try:
            return autostart(environ[AUTOSTART_VARIABLE]), AUTOSTART_VARIABLE
        except ValueError as error:
            found = environ[AUTOSTART_VARIABLE]
            raise ConfigurationError(
                f"The environment variable {AUTOSTART_VARIABLE} is {found!r}, {error}."
            ) from None
    return load_settings().autostart, 'HOSTING["AUTOSTART"]'


def management_command(argv: Sequence[str]) -> tuple[str | None, tuple[str, ...]]:
    """The management command on a command line, and its arguments."""
    program = PurePath(argv[0]) if argv else PurePath()
    is_module = program.name == "__main__.py" and program.parent.name == "django"
    if program.name not in _MANAGEMENT_PROGRAMS and not is_module:
        return None, tuple(argv[1:])
    return (argv[1] if len(argv) > 1 else "help"), tuple(argv[2:])


def _command_line() -> list[str] | None:
    """The command line as Django's own command runner has it, whatever the script is called."""
    management = sys.modules.get("django.core.management")
    if management is None:
        return None
    for frame in frames():
        if frame.f_code is management.ManagementUtility.execute.__code__:
            return ["manage.py", *frame.f_locals["self"].argv[1:]]
    return None
