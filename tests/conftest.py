"""Fixtures for every test. The environment of the tests is settled in ``tests.settings``."""

import os
import re
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest
from django.conf import settings
from django.test import TransactionTestCase

from tests.processes import Databases, Project, databases

# As where the package is installed, which has it as an entry point.
pytest_plugins = ["hosting.pytest_plugin"]

# A slow machine is no failure; what runs for ever meets the timeout of pytest.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")

# What a shell runs in the background ignores SIGINT, and would hand that on to every process that
# a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


HERE = Path(__file__).parent

#: Where tests are about processes and pages, for which any database will do.
ON_ANY_DATABASE = ("process", "browser")

#: Tests that write to no table of Django's own; emptying the others takes a third of the time.
OF_JOBS = re.compile(
    "(leadership|lifecycle|queues|testing)/|messages_app/test_tasks|observability/test_lines"
    "|test_(fleet|scope)"
)
FLUSHED = [app for app in settings.INSTALLED_APPS if not app.startswith("django.contrib.")]

#: Marks that a module which has such tests names itself.
WRITTEN_MARKS = ("alone", "browser", "faults", "servers")

#: A test that asks for none of these, and is not marked, is kept from the database.
DATABASE_FIXTURES = frozenset({"db", "transactional_db", "live_server", "project_databases"})


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--on-database",
        action="store_true",
        help="leave out the tests for which any database will do, or none",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave modules alone in which nothing has the one mark that is asked for: importing all of
    them takes seconds, in each process of a run.
    """
    mark = config.option.markexpr
    if mark not in WRITTEN_MARKS or not collection_path.match("test_*.py"):
        return None
    return f"mark.{mark}" not in collection_path.read_text() or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if OF_JOBS.match(str(item.path.relative_to(HERE))) and is_flushed(item):
            item.add_marker(pytest.mark.django_db(transaction=True, available_apps=FLUSHED))
    if config.getoption("--on-database"):
        config.hook.pytest_deselected(items=[each for each in items if not asks_database(each)])
        items[:] = [each for each in items if asks_database(each)]


def is_flushed(item: pytest.Item) -> bool:
    """Whether the tables are emptied after this test, and nothing is said of which."""
    if mark := item.get_closest_marker("django_db"):
        return mark.kwargs == {"transaction": True}
    return "transactional_db" in getattr(item, "fixturenames", ())


def asks_database(item: pytest.Item) -> bool:
    """Whether it matters to this test which database it has.

    Either pytest-django lets it use the database, or processes of its own do.
    """
    if item.path.parent.name in ON_ANY_DATABASE:
        return False
    test_class = getattr(item, "cls", None)
    is_case = test_class is not None and issubclass(test_class, TransactionTestCase)
    is_marked = item.get_closest_marker("django_db") or item.get_closest_marker("process")
    fixtures = getattr(item, "fixturenames", ())
    return bool(is_case or is_marked or DATABASE_FIXTURES.intersection(fixtures))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Reports go from one process to another as UTF-8, and what tests log need not be that."""
    report = yield
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections
    ]
    return report


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Test on a SQLite file: threads that share a database in memory lock each other out of it."""
    database = settings.DATABASES["default"]
    if database["ENGINE"] == "django.db.backends.sqlite3":
        path = tmp_path_factory.mktemp("database") / "test.sqlite3"
        database.setdefault("TEST", {})["NAME"] = str(path)


@pytest.fixture(scope="session")
def project_databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Fresh databases of the vendor that the suite runs on, for processes of their own."""
    made = databases(os.environ.get("DATABASE_URL"), tmp_path_factory.mktemp("projects"))
    yield made
    made.close()


@pytest.fixture
def project(project_databases: Databases) -> Iterator[Project]:
    """``manage.py`` in processes of its own on a fresh, migrated database."""
    with project_databases.fresh() as url, Project(url) as made:
        yield made
