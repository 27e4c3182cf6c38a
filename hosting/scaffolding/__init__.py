"""`manage.py startservice`: a new service and its test, written into an app."""

from __future__ import annotations

import ast
import keyword
import re
from dataclasses import dataclass
from pathlib import Path

from django.apps import apps

from hosting.conf.problems import allowed_names
from hosting.exceptions import HostingError
from hosting.scaffolding.merging import merged, names_of

_TEMPLATES = Path(__file__).parent / "templates"

#: Names that the templates import.
_TAKEN = {
    "BackgroundService",
    "BackgroundTaskQueue",
    "CancellationToken",
    "QueuedHostedService",
    "TimedService",
}


class ScaffoldError(HostingError):
    """The service cannot be written; nothing was."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the service's dotted path, and the two files."""

    path: str
    service_file: Path
    test_file: Path


def scaffold(name: str, app: str, kind: str) -> Written:
    """Write a service of this kind ("background", "timed", "queued") and its test.

    `services.py` of the app is made, or added to. Raises `ScaffoldError`, having written nothing,
    if the name or the app does not do, or something of that name is there.
    """
    class_name = _class_name(name)
    try:
        config = apps.get_app_config(app)
    except LookupError:
        known = allowed_names(app, [config.label for config in apps.get_app_configs()])
        raise ScaffoldError(f"There is no app {app!r}, {known}.") from None
    folder = Path(config.path)
    service_file, test_file = folder / "services.py", _test_file(folder, class_name)
    words = {
        "class_name": class_name,
        "queue_name": f"{_snake_case(class_name)}_queue",
        "module": f"{config.name}.services",
    }
    names = {class_name, *([words["queue_name"]] if kind == "queued" else [])}
    service = _with_service(service_file, names, _filled(f"{kind}_service.py-tpl", words))
    if test_file.exists():
        raise ScaffoldError(f"{test_file} is there already, choose another name than {name!r}.")
    service_file.write_text(service, "utf-8")
    test_file.write_text(_filled(f"{kind}_test.py-tpl", words), "utf-8")
    return Written(f"{config.name}.services.{class_name}", service_file, test_file)


def _class_name(name: str) -> str:
    class_name = "".join(part[:1].upper() + part[1:] for part in name.split("_"))
    for word in (name, class_name):
        if not word.isidentifier() or keyword.iskeyword(word):
            raise ScaffoldError(f"The name {name!r} does not do, allowed: a Python identifier.")
    if class_name in _TAKEN:
        raise ScaffoldError(f"The name {name!r} does not do, {class_name} is a class of hosting.")
    return class_name


def _snake_case(class_name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", class_name).lower()


def _test_file(folder: Path, class_name: str) -> Path:
    tests = folder / "tests"
    return (tests if tests.is_dir() else folder) / f"test_{_snake_case(class_name)}.py"


def _filled(template: str, words: dict[str, str]) -> str:
    text = (_TEMPLATES / template).read_text("utf-8")
    for word, value in words.items():
        text = text.replace("{{ " + word + " }}", value)
    return text


def _with_service(file: Path, names: set[str], new: str) -> str:
    """The content of services.py with the new class, which binds these names, in it."""
    if file.with_suffix("").is_dir():
        raise ScaffoldError(f"{file.with_suffix('')} is a package, allowed: a module services.py.")
    if not file.exists():
        return new
    present = file.read_text("utf-8")
    try:
        tree = ast.parse(present)
    except SyntaxError as error:
        raise ScaffoldError(f"{file} cannot be read as Python: {error}.") from error
    if taken := names_of(tree.body) & names:
        name = sorted(taken)[0]
        raise ScaffoldError(f"{file} has a {name!r} already, choose another name.")
    return merged(present, new)
