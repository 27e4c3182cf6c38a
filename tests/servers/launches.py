"""How each server is started, and what is true of it by itself, without any services."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

WSGI = "tests.projects.wsgi:application"
ASGI = "tests.projects.asgi:application"
WITHOUT = "tests.projects.asgi:without_lifespan"
PRELOADED = "tests.projects.preloaded:application"

#: How a server is made to load the project again.
TOUCH, HUP = "a changed file", "SIGHUP"

#: What comes of a process that is killed: another is started, its parent waits for a changed file,
#: or the server ends as a whole, for whoever supervises it to start again.
REPLACED, MISSED, ENDS = "is replaced", "is missed", "ends the server"


#: Ctrl-C at a terminal signals all processes, which some servers take well only of the parent. Of
#: gunicorn's gthread workers and granian's WSGI workers one may hang on a second signal, with or
#: without services. SIGINT ends uWSGI's at once.
GROUP, PARENT, NOBODY = "all", "the parent alone", "none"


@dataclass(frozen=True)
class Launch:
    """One way to start a server; `{port}` in the command is the port to listen on."""

    name: str
    distribution: str
    command: tuple[str, ...]
    serving: int = 2  # processes that serve
    has_parent: bool = True  # which does not serve
    killed: str = REPLACED  # what comes of a process that serves and is killed
    drains: bool = True  # lets requests in hand end when it is told to stop
    exit_codes: tuple[int, ...] = (0,)  # after SIGTERM
    recycling: tuple[str, ...] = ()  # options by which a worker ends after a few requests
    reload: str = ""  # what makes it load the project anew
    watches: str = ""  # the line that says that it would notice a changed file
    ctrl_c: str = GROUP  # which of its processes may get SIGINT for a graceful stop
    env: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()  # programs beside the distribution
    pools: bool = True  # is tried with a pool of connections, which begins threads
    tells_at_exit: bool = True  # its parent ends as Python does
    on_sqlite: bool = False  # whatever database the other tests have

    def __str__(self) -> str:
        return self.name

    def missing(self) -> str:
        """What is not installed, or nothing."""
        try:
            version(self.distribution)
        except PackageNotFoundError:
            return f"{self.distribution} is not installed: make test-servers installs it"
        absent = [program for program in self.needs if not shutil.which(program)]
        return f"{', '.join(absent)} is not installed" if absent else ""

    def program(self, port: int, watched: Path, *options: str) -> tuple[str, ...]:
        """The command line, with more options.

        `watched` is the folder of a module of the project that a test may change.
        """
        words = (self.command[0], *options, *self.command[1:])
        return tuple(word.format(port=port, watched=watched) for word in words)


def script(name: str) -> str:
    """A program of the environment that runs the tests."""
    return str(Path(sys.executable).with_name(name))


def gunicorn(name: str, *options: str, application: str = WSGI, pools: bool = True) -> Launch:
    return Launch(
        f"gunicorn, {name}",
        "gunicorn",
        (
            script("gunicorn"),
            *("--bind", "127.0.0.1:{port}", "--workers", "2", "--no-control-socket"),
            *(*options, application),
        ),
        recycling=("--max-requests", "5"),
        reload=HUP,
        ctrl_c=PARENT if "gthread" in options else GROUP,
        pools=pools,
    )


def uvicorn(name: str, *options: str, application: str = ASGI, **facts: object) -> Launch:
    return Launch(
        f"uvicorn{name}",
        "uvicorn",
        (script("uvicorn"), "--port", "{port}", *options, application),
        **facts,  # type: ignore[arg-type]  # each launch checks its own when it is used
    )


def hypercorn(name: str, *options: str, **facts: object) -> Launch:
    return Launch(
        f"hypercorn{name}",
        "hypercorn",
        (script("hypercorn"), "--bind", "127.0.0.1:{port}", *options, ASGI),
        **facts,  # type: ignore[arg-type]  # as above
    )


def granian(interface: str, application: str) -> Launch:
    return Launch(
        f"granian, {interface.upper()}",
        "granian",
        (
            script("granian"),
            *("--interface", interface, "--port", "{port}", "--workers", "2"),
            *("--respawn-failed-workers", "--respawn-interval", "0.1", application),
        ),
        reload=HUP,
        ctrl_c=PARENT if interface == "wsgi" else GROUP,
    )


def uwsgi(name: str, *options: str, application: str = WSGI, pools: bool = True) -> Launch:
    return Launch(
        f"uWSGI, {name}",
        "uWSGI",
        (
            script("uwsgi"),
            *("--http-socket", "127.0.0.1:{port}", "--master", "--processes", "2"),
            *("--hook-master-start", "unix_signal:15 gracefully_kill_them_all"),
            *("--need-app", *options, "--module", application),
        ),
        ctrl_c=NOBODY,
        pools=pools,
        tells_at_exit=False,
        recycling=("--max-requests", "5"),
        reload=HUP,
    )


def mod_wsgi() -> Launch:
    """As a user who is not root, which Apache asks for, and who still may read the files."""
    return Launch(
        "mod_wsgi, daemon processes",
        "mod_wsgi",
        (
            *("unshare", "--map-user=1000", "--map-group=1000", script("mod_wsgi-express")),
            *("start-server", "--host", "127.0.0.1", "--port", "{port}", "--processes", "2"),
            *("--threads", "2", "--locale", "C.UTF-8", "--log-to-terminal"),
            *("--application-type", "module", "tests.projects.wsgi"),
        ),
        drains=False,
        needs=("apache2", "unshare"),
        on_sqlite=True,  # its user may not use the socket of the tests' PostgreSQL
    )


RUNSERVER = Launch(
    "runserver",
    "django",
    ("manage.py", "runserver", "127.0.0.1:{port}"),
    serving=1,
    killed=MISSED,
    drains=False,
    reload=TOUCH,
    watches=r"watched_\w+\.py first seen",
)

LAUNCHES = (
    RUNSERVER,
    Launch(
        "runserver --noreload",
        "django",
        ("manage.py", "runserver", "127.0.0.1:{port}", "--noreload"),
        serving=1,
        has_parent=False,
        killed=ENDS,
        drains=False,
        exit_codes=(-15,),
    ),
    replace(
        RUNSERVER,
        name="daphne's runserver",
        distribution="daphne",
        env={"FIRST_APPS": "daphne"},
    ),
    gunicorn("sync"),
    gunicorn("gthread", "--worker-class", "gthread", "--threads", "4"),
    gunicorn("sync, --preload", "--preload", application=PRELOADED, pools=False),
    gunicorn(
        *("gthread, --preload", "--preload", "--worker-class", "gthread", "--threads", "4"),
        application=PRELOADED,
    ),
    gunicorn("asgi", "--worker-class", "asgi", application=ASGI),
    gunicorn(
        *("uvicorn's worker", "--worker-class", "uvicorn_worker.UvicornWorker"), application=ASGI
    ),
    uvicorn("", serving=1, has_parent=False, killed=ENDS, exit_codes=(-15,)),
    uvicorn(" --workers", "--workers", "2", recycling=("--limit-max-requests", "5")),
    uvicorn(
        " --reload", "--reload", "--reload-dir", "{watched}", serving=1, killed=MISSED, reload=TOUCH
    ),
    Launch(
        "daphne",
        "daphne",
        (script("daphne"), "--port", "{port}", ASGI),
        serving=1,
        has_parent=False,
        killed=ENDS,
        drains=False,
    ),
    hypercorn(
        *("", "--workers", "2"),
        killed=ENDS,
        drains=False,  # the worker that ends first has the others terminated
        recycling=("--max-requests", "5"),
        reload=HUP,
    ),
    hypercorn(" --reload", "--reload", serving=1, killed=ENDS, reload=TOUCH),
    granian("wsgi", WSGI),
    granian("asgi", ASGI),
    # A thread that is in Python when the master forks has the interpreter to itself in the child.
    uwsgi("prefork", application=PRELOADED, pools=False),
    uwsgi("prefork, --enable-threads", "--enable-threads", application=PRELOADED, pools=False),
    uwsgi("prefork, with fork hooks", "--py-call-uwsgi-fork-hooks", application=PRELOADED),
    uwsgi("--lazy-apps", "--lazy-apps", "--enable-threads"),
    Launch(
        "waitress",
        "waitress",
        (script("waitress-serve"), "--listen", "127.0.0.1:{port}", WSGI),
        serving=1,
        has_parent=False,
        killed=ENDS,
        drains=False,
        exit_codes=(-15,),
    ),
    mod_wsgi(),
)

by_name = {launch.name: launch for launch in LAUNCHES}

#: The ASGI servers once more, with an application that rejects their lifespan.
WITHOUT_LIFESPAN = tuple(
    replace(
        launch,
        name=f"{launch.name}, no lifespan",
        command=tuple(word.replace(ASGI, WITHOUT) for word in launch.command),
        exit_codes=(*launch.exit_codes, 0),  # the end waits for the host, with or without a signal
    )
    for launch in LAUNCHES
    if ASGI in launch.command
)

#: A few of them once more, where many processes share one file.
ON_SQLITE = tuple(
    replace(by_name[name], name=f"{name}, on SQLite", on_sqlite=True)
    for name in ("gunicorn, sync, --preload", "uvicorn --workers", "uWSGI, prefork")
)
