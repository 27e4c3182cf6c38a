"""The documentation says what the code says: names, ids, links, and code that parses."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from pkgutil import resolve_name

import pytest
from django.core.management import BaseCommand
from django.dispatch import Signal

import hosting
from hosting import Backoff, DatabaseTask, signals, testing
from hosting.conf import entries, schedule, settings
from hosting.management.commands import runworker
from hosting.observability.health import QUESTIONS
from hosting.process import children, exits, lifeline
from hosting.process.autostart import RULES
from hosting.queues import options
from hosting.services import Condition
from hosting.testing.conformance.case import ConformanceCase

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]
LINK = re.compile(r"!?\[[^]]*\]\(([^)\s]+)\)")
HOSTING_NAME = re.compile(r"`(hosting(?:\.\w+)+)`")
CHECK_ID = re.compile(r"hosting\.[EW]\d{3}")
DEFAULTS = settings.HostingSettings()
HIDDEN = ("func", "_delay")
IN_THE_DECORATOR = {"priority": 0, "queue_name": "default", "backend": "default", "run_after": None}
STATEMENTS = [name for name in ConformanceCase.__annotations__ if hasattr(ConformanceCase, name)]


def runworker_options() -> list[str]:
    """The options that the command has beside Django's."""
    known, of_every_command = (
        command.create_parser("manage.py", "runworker")._option_string_actions
        for command in (runworker.Command(), BaseCommand())
    )
    return sorted(set(known) - set(of_every_command))


every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def test_every_page_is_there() -> None:
    names = {page.stem for page in PAGES}
    assert names >= {
        "README",
        "CHANGELOG",
        "architecture",
        "dashboard",
        "deploy",
        "health",
        "leases",
        "lifecycle",
        "logging",
        "metrics",
        "performance",
        "promises",
        "queue",
        "running",
        "schedules",
        "services",
        "settings",
        "signals",
        "tasks",
        "testing",
    }


@pytest.mark.parametrize("key", ["SERVICE", *entries.KEYS])
def test_keys_of_entries_are_documented(key: str) -> None:
    assert row("settings.md", "HOSTED_SERVICES", key)


@pytest.mark.parametrize("key", settings.KEYS)
def test_keys_of_hosting_are_documented_with_their_defaults(key: str) -> None:
    default = getattr(DEFAULTS, key.lower())
    shown = '"auto"' if key == "AUTOSTART" else repr(default)
    assert row("settings.md", "HOSTING", key)[2] == f"`{shown}`"


@pytest.mark.parametrize("key", schedule.KEYS)
def test_keys_of_schedules_are_documented(key: str) -> None:
    assert row("settings.md", "SCHEDULE", key)


@pytest.mark.parametrize("key", options.KEYS)
def test_options_of_the_backend_are_documented_with_their_defaults(key: str) -> None:
    default = getattr(options.BackendOptions(), key.lower())
    if isinstance(default, dict):
        default = {status.value: timedelta(seconds=each).days for status, each in default.items()}
        assert default == {"SUCCESSFUL": 7, "FAILED": 30}
        assert row("queue.md", "Settings of the backend", key)[2] == "7 and 30 days"
        return
    shown = f'"{default}"' if isinstance(default, str) else repr(default)
    assert row("queue.md", "Settings of the backend", key)[2] == f"`{shown}`"


@pytest.mark.parametrize("name", STATEMENTS)
def test_statements_of_a_backend_are_documented_with_their_defaults(name: str) -> None:
    default = getattr(ConformanceCase, name)
    shown = f'"{default}"' if isinstance(default, str) else repr(default)
    assert row("testing.md", "What you state", name)[1] == f"`{shown}`"


@pytest.mark.parametrize(
    "option", [option.name for option in fields(DatabaseTask) if option.name not in HIDDEN]
)
def test_options_of_tasks_are_documented_with_their_defaults(option: str) -> None:
    default = {each.name: each.default for each in fields(DatabaseTask)}[option]
    # Django 6.0 has these defaults in its decorator only.
    default = IN_THE_DECORATOR.get(option, default)
    shown = f'"{default}"' if isinstance(default, str) else repr(default)
    assert row("tasks.md", "All options", option)[2].startswith(f"`{shown}`")


@pytest.mark.parametrize("name", [each.name for each in fields(Backoff)])
def test_fields_of_backoffs_are_documented_with_their_defaults(name: str) -> None:
    assert row("tasks.md", "Attempts", name)[2] == f"`{getattr(Backoff(), name)!r}`"


@pytest.mark.parametrize(
    "name", [name for name, value in vars(signals).items() if isinstance(value, Signal)]
)
def test_signals_are_documented(name: str) -> None:
    assert row("signals.md", "Signals of `hosting.signals`", name)


@pytest.mark.parametrize("option", runworker_options())
def test_options_of_runworker_are_documented(option: str) -> None:
    assert re.search(rf"^\| .*`{option}\b", section("running.md", "runworker"), re.MULTILINE)


@pytest.mark.parametrize(
    ("command", "option"),
    [
        *(("tasks", name) for name in ("--state", "--queue", "--task", "--limit", "--format")),
        *(("prune_tasks", name) for name in ("--older-than", "--status", "--dry-run", "--backend")),
    ],
)
def test_options_of_commands_on_jobs_are_documented(command: str, option: str) -> None:
    assert re.search(rf"^\| .*`{option}\b", section("running.md", command), re.MULTILINE)


@pytest.mark.parametrize("name", testing.__all__)
def test_names_of_the_test_kit_are_documented(name: str) -> None:
    assert re.search(rf"`{name}\b", read("testing.md") + read("services.md"))


@pytest.mark.parametrize("code", [exits.CLEAN, exits.FAILED, exits.RECYCLE])
def test_exit_codes_are_documented(code: int) -> None:
    table = section("running.md", "Signals and exit codes")
    assert re.search(rf"^\| {code} \|", table, re.MULTILINE)


def test_what_hosting_sets_in_the_environment_is_documented() -> None:
    assert {children.SLOT, lifeline.LIFELINE} <= set(
        re.findall(r"`(\w+)`", section("settings.md", "Environment"))
    )


@pytest.mark.parametrize("rule", [rule.name for rule in RULES])
def test_rules_of_the_start_gate_are_documented(rule: str) -> None:
    assert row("running.md", "The start gate", rule)


def test_rules_of_the_start_gate_stand_in_their_order() -> None:
    table = section("running.md", "The start gate")
    assert re.findall(r"^\| `([^`]+)`", table, re.MULTILINE) == [rule.name for rule in RULES]


def test_check_ids_are_documented() -> None:
    used = ids_in(path.read_text() for path in (ROOT / "hosting").rglob("*.py"))
    documented = ids_in([read("settings.md"), read("queue.md")])
    assert documented == used


@pytest.mark.parametrize("name", hosting.__all__)
def test_names_of_the_facade_are_documented(name: str) -> None:
    assert re.search(rf"\b{name}\b", "".join(page.read_text() for page in PAGES))


@every_page
def test_probes_ask_questions_that_there_are(page: Path) -> None:
    asked = set(re.findall(r"health/(\w+)\b(?!\.)", page.read_text())) - {"health"}
    assert asked <= QUESTIONS.keys(), f"{page.name} asks {asked}"


@pytest.mark.parametrize("condition", Condition)
def test_conditions_are_documented(condition: Condition) -> None:
    assert row("health.md", "The answer", condition.value)


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(without_code(page.read_text())):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.is_file(), f"{page.name} links to {target}, which is not there"
        assert not anchor or anchor in anchors(found), f"{page.name}: no heading for {target}"


@every_page
def test_python_blocks_parse(page: Path) -> None:
    for line, block in python_blocks(page.read_text()):
        try:
            ast.parse(block)
        except SyntaxError as error:
            pytest.fail(f"{page.name}, the block at line {line}: {error}")


@every_page
def test_imports_from_hosting_work(page: Path) -> None:
    for _, block in python_blocks(page.read_text()):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hosting"):
                exec(compile(ast.Module([node], []), page.name, "exec"), {})


@every_page
def test_services_in_python_blocks_say_hosting_names_that_exist(page: Path) -> None:
    for name in re.findall(r'(?<!include\()"hosting\.(\w+)"', page.read_text()):
        assert name in hosting.__all__, f"{page.name} names hosting.{name}"


def test_names_in_comments_exist() -> None:
    sources = (ROOT / "hosting").rglob("*.py")
    named = {(path, name) for path in sources for name in HOSTING_NAME.findall(path.read_text())}
    assert len(named) > 10
    for path, name in named:
        try:
            resolve_name(name)
        except (ImportError, AttributeError):
            pytest.fail(f"{path.relative_to(ROOT)} names {name}, which does not exist")


def read(name: str) -> str:
    """The text of a page of docs/."""
    return (DOCS / name).read_text()


def section(name: str, heading: str) -> str:
    """The text under a heading, up to the next one of its level or above."""
    found = re.search(
        rf"^(##+) {re.escape(heading)}\n(.*?)(?=^##? |\Z)", read(name), re.MULTILINE | re.DOTALL
    )
    assert found, f"docs/{name} has no heading {heading!r}"
    return found[2]


def row(name: str, heading: str, first: str) -> list[str]:
    """The cells of the one table row under a heading that begins with `first`."""
    rows = [
        line
        for line in section(name, heading).splitlines()
        if line.startswith((f"| `{first}` ", f"| `{first}`,"))
    ]
    assert len(rows) == 1, f"docs/{name}, {heading!r}: {len(rows)} rows begin with {first!r}"
    return [cell.strip() for cell in rows[0].strip("|").split("|")]


def ids_in(texts: Iterable[str]) -> set[str]:
    """The ids of checks in these texts."""
    return {found for text in texts for found in CHECK_ID.findall(text)}


def without_code(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", without_code(page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def python_blocks(text: str) -> Iterator[tuple[int, str]]:
    """The python code blocks of a page, without their indentation, and where each begins."""
    for found in re.finditer(r"^( *)```python\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
        indentation = len(found[1])
        lines = [line[indentation:] for line in found[2].splitlines()]
        yield text[: found.start()].count("\n") + 1, "\n".join(lines)
