"""What the tests wait for and ask: facts about jobs, as anybody outside the worker sees them."""

from typing import Any

from django.db import connection

from hosting import Backoff
from hosting.models import Job, JobResult
from hosting.queues.stores import store_for
from hosting.queues.stores.base import Store
from hosting.queues.stores.values import JobRecord
from tests.queues.conftest import until

BACKEND = "hosting.queues.DatabaseBackend"

#: The next attempt follows at once.
AT_ONCE = Backoff(initial=0, maximum=0)


def with_options(settings: Any, **options: Any) -> None:
    """Give the backend these OPTIONS."""
    settings.TASKS = {"default": {"BACKEND": BACKEND, "QUEUES": [], "OPTIONS": options}}


def the_store() -> Store:
    return store_for("default")


def ended(result: Any, seconds: float = 20) -> Any:
    """The result, once the job has ended."""

    def has_ended() -> bool:
        result.refresh()
        return bool(result.is_finished)

    until(has_ended, seconds)
    return result


def error_names(result: Any) -> list[str]:
    """The classes of the errors of all attempts."""
    return [error.exception_class_path.rpartition(".")[2] for error in result.errors]


def row(result: Any) -> Job:
    return Job.objects.get(id=result.id)


def stored(result: Any) -> JobRecord:
    """Everything that is stored of a job, whether it has ended or not."""
    [record] = the_store().get([_id(result)]).values()
    return record


def is_waiting(result: Any) -> bool:
    return Job.objects.filter(id=result.id, state="waiting").exists()


def cancel(result: Any) -> bool:
    return the_store().control.cancel([_id(result)]) == {_id(result)}


def retry(result: Any) -> bool:
    return the_store().control.retry([_id(result)]) == {_id(result)}


def discard(result: Any) -> bool:
    return the_store().control.discard([_id(result)]) == {_id(result)}


def _id(result: Any) -> Any:
    return JobResult(id=result.id)._meta.pk.to_python(result.id)


def effects() -> list[str]:
    """What jobs have written, in the order of the alphabet."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT what FROM at_work_effect ORDER BY what")
        return [what for (what,) in cursor.fetchall()]
