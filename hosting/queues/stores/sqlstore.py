"""What the stores that write their own SQL have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from hosting.models import Job
from hosting.queues.stores.new import record_of_new
from hosting.queues.stores.orm import GenericStore
from hosting.queues.stores.rows import to_record
from hosting.queues.stores.statements.shared import CLAIMED_NAMES, QUEUE_NAMES
from hosting.queues.stores.values import Claim, JobRecord, NewJob, Wanted

_DUE_AT, _CLAIMED_AT = map(CLAIMED_NAMES.index, ("due_at", "claimed_at"))


class SQLStore(GenericStore):
    """Keeps jobs by statements of its own, where they are quicker than the ORM's."""

    def insert(self, jobs: Sequence[NewJob]) -> list[JobRecord]:
        if len(jobs) == 1:
            return [self._insert(jobs[0])]
        with self.atomic():
            return [self._insert(job) for job in jobs]

    def queue_names(self, backend: str) -> list[str]:
        return [row[0] for row in self._fetch(QUEUE_NAMES, [backend, backend])]

    def add_one(self, job: NewJob, meanwhile: Callable[[], object]) -> datetime:
        return self._insert_row(job, meanwhile)

    def _insert(self, job: NewJob) -> JobRecord:
        return record_of_new(job, self._insert_row(job, _nothing))

    @abstractmethod
    def _insert_row(self, job: NewJob, meanwhile: Callable[[], object]) -> datetime:
        """Write the row of one job; when it was enqueued."""

    @abstractmethod
    def _id(self, value: Any) -> UUID:
        """The id that the statements give as this value."""

    @abstractmethod
    def _moment(self, value: Any) -> Any:
        """The datetime that the statements give as this value."""

    def waited(self, claim: Claim) -> float:
        row = claim.source
        if isinstance(row, Job):  # as the ORM claims it
            return super().waited(claim)
        return self._seconds_between(row[_DUE_AT], row[_CLAIMED_AT])

    @abstractmethod
    def _seconds_between(self, earlier: Any, later: Any) -> float:
        """Seconds between two moments as the statements give them."""

    def savepoint(self, *, late: bool = False) -> str:
        connection: Any = self.connection
        if is_watched(connection):
            return super().savepoint()
        connection.savepoint_state += 1  # Django's own count, so that no two have one name
        name = f"hosting_x{connection.savepoint_state}"
        connection.validate_no_broken_transaction()
        self._begin_savepoint(connection, name, late)
        return name

    def _begin_savepoint(self, connection: Any, name: str, late: bool) -> None:
        with connection.wrap_database_errors:
            self._perform(connection, f"SAVEPOINT {name}")

    @abstractmethod
    def _perform(self, connection: Any, statement: str) -> None:
        """Have the driver execute a statement without parameters and rows."""

    @abstractmethod
    def _execute(self, connection: Any, statement: str, parameters: Sequence[Any]) -> list[Any]:
        """The rows of a statement that the driver executes."""

    def _fetch(self, statement: str, parameters: Sequence[Any]) -> list[Any]:
        """The rows of a statement.

        Where nobody watches what Django's cursor does, it goes past that, as quick statements take
        less time than Django's cursor.
        """
        connection: Any = self.connection
        if is_watched(connection):
            with connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                return list(cursor.fetchall())
        require_ready(connection)
        with connection.wrap_database_errors:
            return self._execute(connection, statement, parameters)

    def _names(self, wanted: Wanted) -> Collection[str]:
        return self.queue_names(wanted.backend) if wanted.queues is None else wanted.queues

    def _in_order(self, rows: Iterable[tuple[Any, ...]]) -> list[Claim]:
        claims = [self._claim_of(row) for row in rows]
        claims.sort(key=_key)
        return claims

    def _claim_of(self, row: tuple[Any, ...]) -> Claim:
        key = (row[3], row[4], row[0])
        job_id = self._id(row[0])
        return Claim(job_id, row[1], row[2], key, row[5:12], bool(row[12]), row, self._record)

    def _record(self, row: tuple[Any, ...]) -> JobRecord:
        values = dict(zip(CLAIMED_NAMES, row, strict=True))
        for name in ("run_after", "enqueued_at", "started_at", "claimed_at"):
            values[name] = self._moment(values[name])
        return to_record({**values, "id": self._id(row[0]), "state": "running"})


def _nothing() -> None:
    pass


def require_ready(connection: Any) -> None:
    """See to it that a statement may be executed now, as Django's cursor does."""
    connection.validate_thread_sharing()
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    connection.validate_no_broken_transaction()


def is_watched(connection: Any) -> bool:
    """Whether somebody watches what Django's cursor does."""
    return bool(connection.queries_logged or connection.execute_wrappers)


def _key(claim: Claim) -> Any:
    return claim.key
