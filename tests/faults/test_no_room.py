"""A database that takes nothing any more: it is read-only, or its disk is full."""

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.conftest import MakeFleet
from tests.faults.fleet import Fleet, report
from tests.faults.scale import LONG, ON_SQLITE, share
from tests.processes import Project, SQLiteDatabases, connect

pytestmark = [pytest.mark.process, pytest.mark.faults, pytest.mark.timeout(2 * LONG)]

WORKERS = 2
#: A job that cannot write what it wants to has failed once, which is its own matter.
OFTEN = {"MAX_ATTEMPTS": 100}
AWAY, BACK = "cannot use the database", "can use the database .* again"
SLOW = 150  # jobs
LARGE = 20_000  # characters that each of them returns: more than the space that others leave free
SIZE = 24  # of the disk, in megabytes


def survive(
    fleet: Fleet, what: str, spoil: Callable[[], object], repair: Callable[[], object]
) -> None:
    """Have jobs executed while the database is spoiled and repaired; nothing may be lost."""
    jobs = share(0.3)
    fleet.start(WORKERS)
    fleet.enqueue("note", jobs)
    fleet.enqueue("linger_and_return", SLOW, 0.25, LARGE)  # of which most is left to do then
    fleet.wait_for_results(jobs // 10)
    spoil()
    try:
        fleet.wait_for_output(AWAY)
    finally:
        repair()
    fleet.wait_for_results()
    assert all(worker.is_running for worker in fleet.workers)
    fleet.wait_until(lambda: len(fleet.lines(BACK)) == len(fleet.lines(AWAY)), "all is well")
    fleet.stop()
    account, said = fleet.account(), len(fleet.lines(AWAY))
    jobs += SLOW
    report(what, jobs=jobs, lost=account.lost, duplicates=account.duplicates, said=said)
    assert (account.lost, account.left, account.executed) == (0, 0, jobs)
    assert len(fleet.lines(BACK)) == said
    assert said <= 2 * WORKERS


@pytest.mark.skipif(ON_SQLITE, reason="is about PostgreSQL")
def test_a_database_becomes_read_only(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(**OFTEN)

    def set_read_only(value: str) -> None:
        with connect(fleet.project.database_url) as connection:
            connection.execute("SET default_transaction_read_only = off")
            [name] = connection.execute("SELECT current_database()").fetchone() or [""]
            connection.execute(
                f'ALTER DATABASE "{name}" SET default_transaction_read_only = {value}'.encode()
            )
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    survive(fleet, "read-only", lambda: set_read_only("on"), lambda: set_read_only("off"))


@pytest.mark.skipif(not ON_SQLITE, reason="is about SQLite")
def test_files_may_not_grow(make_fleet: MakeFleet) -> None:
    """Writing fails for these processes alone, as it does for a quota or a failing disk."""
    fleet = make_fleet(**OFTEN)

    def limit(size: int) -> None:
        for worker in fleet.workers:
            resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    survive(fleet, "no growth", lambda: limit(4096), lambda: limit(resource.RLIM_INFINITY))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no disk may be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.skipif(not ON_SQLITE, reason="is about SQLite")
def test_a_disk_is_full(disk: Path) -> None:
    ballast = disk / "ballast"

    def fill() -> None:
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(b"0" * 4096)

    with SQLiteDatabases(disk).fresh() as url, Project(url) as project:
        survive(Fleet(project, **OFTEN), "full disk", fill, ballast.unlink)
