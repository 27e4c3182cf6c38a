"""The sample's pages, and some that tell of the process that serves them."""

import multiprocessing
import os
import sys
import threading
from concurrent.futures import ProcessPoolExecutor

import django
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path

from tests.projects import tasks
from tests.projects.telling import write_fact


def process(request: HttpRequest) -> JsonResponse:
    """Which process this is, and its session with the database (None on SQLite)."""
    threading.Event().wait(float(request.GET.get("seconds", 0)))
    return JsonResponse({"pid": os.getpid(), "session": session()})


def slow(request: HttpRequest) -> HttpResponse:
    """Takes so many seconds, and writes a fact when it begins."""
    write_fact("request", "begun")
    threading.Event().wait(float(request.GET["seconds"]))
    return HttpResponse("done")


def enqueue(request: HttpRequest) -> HttpResponse:
    """Enqueues a job that writes a fact."""
    tasks.writes_a_fact.enqueue(request.GET["name"])
    return HttpResponse("enqueued")


def fork(request: HttpRequest) -> JsonResponse:
    """Forks a child by `multiprocessing`, and gives its id and exit code: 1 if it hosts."""
    child = multiprocessing.get_context("fork").Process(target=exit_by_hosting)
    child.start()
    child.join()
    return JsonResponse({"pid": child.pid, "exit code": child.exitcode})


def spawn(request: HttpRequest) -> JsonResponse:
    """Whether a helper hosts that sets up Django, as the initializer of a pool does."""
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawning, initializer=django.setup) as pool:
        return JsonResponse({"hosts": pool.submit(hosts).result()})


def hosts() -> bool:
    """Whether the threads of a host are in this process."""
    return any(thread.name.startswith("hosting:") for thread in threading.enumerate())


def exit_by_hosting() -> None:
    """Exit with 1 if this process hosts, else with 0."""
    sys.exit(hosts())


def session() -> int | None:
    """The process id of the server's end of this thread's connection; None on SQLite."""
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            cursor.execute("SELECT 1")
            return None
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


urlpatterns = [
    path("process", process),
    path("slow", slow),
    path("enqueue", enqueue),
    path("fork", fork),
    path("spawn", spawn),
    path("", include("messages_app.urls")),
]
