"""`manage.py startservice`: what it writes works, and where it refuses it writes nothing."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from hosting.conf import load
from tests.processes import PATIENCE, ROOT

KINDS = pytest.mark.parametrize("options", [[], ["--timed"], ["--queued"]], ids=lambda o: str(o))


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Path]:
    """The folder of an installed app, which is empty."""
    name = f"shop_{uuid4().hex[:8]}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, name]
    yield folder
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[module]


def startservice(name: str, app: Path, *options: str) -> list[str]:
    out = StringIO()
    call_command("startservice", name, app.name, *options, stdout=out, skip_checks=True)
    return out.getvalue().splitlines()


def content(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): file.read_text()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.suffix != ".pyc"
    }


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def ruff(*arguments: str, folder: Path) -> None:
    done = run("-m", "ruff", *arguments, "--isolated", "--no-cache", ".", cwd=folder)
    assert done.returncode == 0, done.stdout + str(content(folder))


def assert_in_order(app: Path) -> None:
    """The files are clean and formatted, and their tests pass."""
    ruff("check", "--select", "E,F,I,N,B,UP,W", folder=app.parent)
    ruff("format", "--diff", folder=app.parent)
    options = ["-p", "no:cacheprovider", "-W", "error", "--ds", "config.settings"]
    paths = [f"--rootdir={app.parent}", "-o", f"pythonpath={ROOT} {app.parent}"]
    tested = run("-m", "pytest", *options, *paths, str(app), cwd=app.parent)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert " passed" in tested.stdout


@KINDS
def test_what_it_writes_works_as_it_is(app: Path, options: list[str], settings: Any) -> None:
    said = startservice("Reaper", app, *options)

    assert set(content(app)) == {"__init__.py", "services.py", "test_reaper.py"}
    assert_in_order(app)
    line = said[-1]
    assert line == f'    "{app.name}.services.Reaper",'
    settings.HOSTED_SERVICES = [ast.literal_eval(line.strip().rstrip(","))]
    [entry] = load().services
    assert entry.name == "Reaper"
    entry.service_class(**entry.options)


@pytest.mark.parametrize(
    ("first", "options"), [([], ["--timed"]), (["--timed"], ["--queued"]), (["--queued"], [])]
)
def test_it_adds_to_services_that_are_there(
    app: Path, first: list[str], options: list[str]
) -> None:
    startservice("Reaper", app, *first)
    before = (app / "services.py").read_text()

    startservice("mail_sender", app, *options)

    assert_in_order(app)
    services = importlib.import_module(f"{app.name}.services")
    assert services.Reaper.__module__ == services.MailSender.__module__
    assert before[before.index("class Reaper") :].rstrip() in (app / "services.py").read_text()


OTHERS = {
    "docstring": '"""The services of the shop."""\n',
    "nothing": "",
    "other imports": (
        '"""The services of the shop."""\n\n'
        "from __future__ import annotations\n\n"
        "import asyncio\nimport logging\n\n"
        "from django.db import models\n\n"
        'logger = logging.getLogger("shop")\n\n\n'
        "def count(model: type[models.Model]) -> None:\n"
        "    logger.info(asyncio.get_event_loop_policy())\n"
    ),
    "many names of hosting": (
        "from hosting import (\n    BackgroundService,\n    BackgroundTaskQueue,\n"
        "    CancellationToken,\n    HostedService,\n    QueuedHostedService,\n)\n\n"
        "ALL = [\n    BackgroundService,\n    BackgroundTaskQueue,\n    CancellationToken,\n"
        "    HostedService,\n    QueuedHostedService,\n]\n"
    ),
}


@pytest.mark.parametrize("present", OTHERS.values(), ids=OTHERS)
@KINDS
def test_it_adds_to_whatever_is_there(app: Path, present: str, options: list[str]) -> None:
    (app / "services.py").write_text(present)

    startservice("Reaper", app, *options)

    services = (app / "services.py").read_text()
    for line in present.splitlines():
        if not line.startswith(("from hosting", "    ", ")")):
            assert line in services.splitlines()
    assert issubclass(
        importlib.import_module(f"{app.name}.services").Reaper,
        importlib.import_module("hosting").BackgroundService,
    )
    ruff("check", "--select", "F", folder=app.parent)


def test_the_test_goes_where_the_tests_are(app: Path) -> None:
    (app / "tests").mkdir()

    startservice("HTTPPoller2Go", app)

    assert (app / "tests" / "test_httppoller2_go.py").is_file()


@pytest.mark.parametrize(
    ("name", "class_name"),
    [("reaper", "Reaper"), ("mail_sender", "MailSender"), ("myReaper", "MyReaper")],
)
def test_a_name_becomes_the_name_of_a_class(app: Path, name: str, class_name: str) -> None:
    assert startservice(name, app)[-1] == f'    "{app.name}.services.{class_name}",'


def _service_is_there(app: Path) -> None:
    (app / "services.py").write_text("class Reaper:\n    pass\n")


def _name_is_imported(app: Path) -> None:
    (app / "services.py").write_text("from os import walk as Reaper\n")


def _test_is_there(app: Path) -> None:
    (app / "test_reaper.py").write_text("assert True\n")


def _services_is_a_package(app: Path) -> None:
    (app / "services").mkdir()
    (app / "services" / "__init__.py").touch()


def _services_is_broken(app: Path) -> None:
    (app / "services.py").write_text("class Reaper(:\n")


def _nothing(app: Path) -> None:
    """The app is as it should be."""


@pytest.mark.parametrize(
    ("name", "prepare", "words"),
    [
        ("my-reaper", _nothing, "The name 'my-reaper' does not do, allowed: a Python identifier."),
        ("1st", _nothing, "The name '1st' does not do"),
        ("", _nothing, "The name '' does not do"),
        ("class", _nothing, "The name 'class' does not do"),
        ("none", _nothing, "The name 'none' does not do"),
        ("_", _nothing, "The name '_' does not do"),
        ("_1", _nothing, "The name '_1' does not do"),
        ("timed_service", _nothing, "TimedService is a class of hosting"),
        ("Reaper", _service_is_there, "services.py has a 'Reaper' already, choose another name."),
        ("Reaper", _name_is_imported, "services.py has a 'Reaper' already, choose another name."),
        ("Reaper", _test_is_there, "test_reaper.py is there already, choose another name"),
        ("Reaper", _services_is_a_package, "services is a package, allowed: a module services.py."),
        ("Reaper", _services_is_broken, "services.py cannot be read as Python: "),
    ],
)
@KINDS
def test_what_it_refuses_leaves_everything_as_it_was(
    app: Path, name: str, prepare: Callable[[Path], None], words: str, options: list[str]
) -> None:
    prepare(app)
    before = content(app)

    with pytest.raises(CommandError) as caught:
        startservice(name, app, *options)

    assert words in str(caught.value)
    assert content(app) == before


def test_an_unknown_app_is_refused_with_the_nearest() -> None:
    with pytest.raises(CommandError, match=r"There is no app 'mesages_app', allowed: ") as caught:
        call_command("startservice", "Reaper", "mesages_app", skip_checks=True)

    assert "did you mean 'messages_app'?" in str(caught.value)


def test_two_kinds_at_once_are_refused(app: Path) -> None:
    with pytest.raises(CommandError, match="not allowed with"):
        startservice("Reaper", app, "--timed", "--queued")

    assert set(content(app)) == {"__init__.py"}
