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

_TEMPLATES = Path(__file__).parent / "templates"


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
    words = {"class_name": class_name, "module": f"{config.name}.services"}
    service = _with_service(service_file, class_name, _filled(f"{kind}_service.py-tpl", words))
    if test_file.exists():
        raise ScaffoldError(f"{test_file} is there already, choose another name than {name!r}.")
    service_file.write_text(service)
    test_file.write_text(_filled(f"{kind}_test.py-tpl", words))
    return Written(f"{config.name}.services.{class_name}", service_file, test_file)


def _class_name(name: str) -> str:
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ScaffoldError(f"The name {name!r} does not do, allowed: a Python identifier.")
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _test_file(folder: Path, class_name: str) -> Path:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", class_name).lower()
    tests = folder / "tests"
    return (tests if tests.is_dir() else folder) / f"test_{words}.py"


def _filled(template: str, words: dict[str, str]) -> str:
    text = (_TEMPLATES / template).read_text()
    for word, value in words.items():
        text = text.replace("{{ " + word + " }}", value)
    return text


def _with_service(file: Path, class_name: str, new: str) -> str:
    """The content of services.py with the new class in it."""
    if file.with_suffix("").is_dir():
        raise ScaffoldError(f"{file.with_suffix('')} is a package, allowed: a module services.py.")
    if not file.exists():
        return new
    present = file.read_text()
    try:
        tree = ast.parse(present)
    except SyntaxError as error:
        raise ScaffoldError(f"{file} cannot be read as Python: {error}.") from error
    if class_name in {getattr(node, "name", None) for node in tree.body}:
        raise ScaffoldError(f"{file} has a {class_name!r} already, choose another name.")
    return _merged(present, tree, new)


def _merged(present: str, tree: ast.Module, new: str) -> str:
    """The new module's imports after those that are there, and its class at the end."""
    imports, body = new.split("\n\n\n", 1)
    missing = [line for line in imports.splitlines() if line and line not in present]
    last = max(
        (node.end_lineno or 0 for node in tree.body if _is_preamble(node)),
        default=0,
    )
    lines = present.splitlines()
    lines[last:last] = missing
    return "\n".join(lines).rstrip() + "\n\n\n" + body


def _is_preamble(node: ast.stmt) -> bool:
    is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_docstring or isinstance(node, (ast.Import, ast.ImportFrom))
