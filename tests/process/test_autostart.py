"""The start gate as a table: which process hosts, and by which rule."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosting.process.autostart import RULES, Decision, decide, is_reloader_parent
from hosting.process.facts import ProcessFacts
from hosting.process.servers import Role

PARENT = {"command": "runserver", "arguments": ("8000",)}
CHILD = {**PARENT, "reloader_child": True}
NORELOAD = {"command": "runserver", "arguments": ("8000", "--noreload")}
ABBREVIATED = {"command": "runserver", "arguments": ("--nor", "8000")}
OTHER_OPTION = {"command": "runserver", "arguments": ("--nothreading", "--no-color"), **CHILD}
UNCLEAR = {"autostart_problem": "HOSTING_AUTOSTART is 'maybe', allowed: ..."}

ARBITER = {"program": "gunicorn", "server": "gunicorn", "role": Role.WATCHES}
SERVING = {"program": "gunicorn", "server": "gunicorn", "role": Role.SERVES}
LIFESPAN = {"program": "serve.py", "lifespan": True}
HELPER = {"program": "gunicorn", "helper": True}
GREEN = {**SERVING, "green_threads": True}

AUTO, ON, OFF = None, True, False

TABLE: list[tuple[str, dict[str, Any], bool | None, bool, str]] = [
    # what runs                facts                            wish  hosts  rule
    ("runserver, parent", PARENT, AUTO, False, "reloader parent"),
    ("runserver, parent", PARENT, ON, False, "reloader parent"),
    ("runserver, parent", PARENT, OFF, False, "reloader parent"),
    ("runserver, parent", {**PARENT, **UNCLEAR}, AUTO, False, "reloader parent"),
    ("runserver, child", CHILD, AUTO, True, "runserver"),
    ("runserver, child", CHILD, ON, True, "runserver"),
    ("runserver, child", CHILD, OFF, False, "switched off"),
    ("runserver, child", {**CHILD, **UNCLEAR}, AUTO, False, "not understood"),
    ("runserver, other options", OTHER_OPTION, AUTO, True, "runserver"),
    ("runserver --noreload", NORELOAD, AUTO, True, "runserver"),
    ("runserver --noreload", NORELOAD, ON, True, "runserver"),
    ("runserver --noreload", NORELOAD, OFF, False, "switched off"),
    ("runserver --noreload", {**NORELOAD, **UNCLEAR}, AUTO, False, "not understood"),
    ("runserver --nor", ABBREVIATED, AUTO, True, "runserver"),
    ("runworker", {"command": "runworker"}, AUTO, False, "worker"),
    ("runworker", {"command": "runworker"}, ON, False, "worker"),
    ("runworker", {"command": "runworker"}, OFF, False, "worker"),
    ("runworker, child", {"command": "runworker", "reloader_child": True}, ON, False, "worker"),
    *(
        (command, {"command": command, **more}, wish, False, "other command")
        for command in ("migrate", "shell", "check", "makemigrations", "testserver", "nightly")
        for wish in (AUTO, ON, OFF)
        for more in ({}, UNCLEAR)
    ),
    ("test", {"command": "test", "under_test": True}, AUTO, False, "tests"),
    ("test", {"command": "test", "under_test": True}, ON, False, "tests"),
    ("pytest", {"program": "pytest", "under_test": True}, AUTO, False, "tests"),
    ("pytest", {"program": "pytest", "under_test": True}, ON, False, "tests"),
    ("runserver within pytest", {**NORELOAD, "under_test": True}, ON, False, "tests"),
    ("python -c", {"program": "-c"}, AUTO, False, "unknown"),
    ("python -c", {"program": "-c"}, ON, True, "switched on"),
    ("python -c", {"program": "-c"}, OFF, False, "switched off"),
    ("a script", {"program": "import.py"}, AUTO, False, "unknown"),
    ("a script", {"program": "import.py", **UNCLEAR}, AUTO, False, "not understood"),
    ("server's parent", ARBITER, AUTO, False, "server's parent"),
    ("server's parent", ARBITER, ON, False, "server's parent"),
    ("server's parent", ARBITER, OFF, False, "server's parent"),
    ("server's parent", {**ARBITER, **UNCLEAR}, AUTO, False, "server's parent"),
    ("server", SERVING, AUTO, True, "server"),
    ("server", SERVING, ON, True, "switched on"),
    ("server", SERVING, OFF, False, "switched off"),
    ("server", {**SERVING, **UNCLEAR}, AUTO, False, "not understood"),
    ("server within pytest", {**SERVING, "under_test": True}, ON, False, "tests"),
    ("server in a command", {**SERVING, "command": "serve"}, AUTO, True, "server"),
    ("server in a command", {**SERVING, "command": "serve"}, OFF, False, "switched off"),
    ("server's parent in a command", {**ARBITER, "command": "serve"}, ON, False, "server's parent"),
    ("lifespan", LIFESPAN, AUTO, True, "lifespan"),
    ("lifespan", LIFESPAN, ON, True, "switched on"),
    ("lifespan", LIFESPAN, OFF, False, "switched off"),
    ("lifespan in a command", {**LIFESPAN, "command": "serve"}, AUTO, True, "lifespan"),
    ("lifespan within pytest", {**LIFESPAN, "under_test": True}, AUTO, False, "tests"),
    ("helper", HELPER, AUTO, False, "helper"),
    ("helper", HELPER, ON, False, "helper"),
    ("helper of runserver", {**CHILD, "helper": True}, AUTO, False, "helper"),
    ("helper that serves", {**SERVING, "helper": True}, AUTO, True, "server"),
    ("helper of an unknown server", {**HELPER, "request": True}, ON, True, "switched on"),
    ("green threads", GREEN, AUTO, False, "green threads"),
    ("green threads", GREEN, ON, False, "green threads"),
    ("request", {"program": "serve.py", "request": True}, AUTO, False, "unknown"),
    ("request", {"program": "serve.py", "request": True}, ON, True, "switched on"),
    ("request in a command", {"command": "serve", "request": True}, AUTO, False, "unknown"),
    ("request in a command", {"command": "serve", "request": True}, ON, True, "switched on"),
    ("gunicorn by name alone", {"program": "gunicorn"}, AUTO, False, "unknown"),
    ("unknown server", {"program": "cheroot"}, AUTO, False, "unknown"),
    ("unknown server", {"program": "cheroot"}, ON, True, "switched on"),
    ("unknown server", {"program": "cheroot"}, OFF, False, "switched off"),
    ("no program", {"program": ""}, AUTO, False, "unknown"),
]


@pytest.mark.parametrize(
    ("facts", "wish", "hosts", "rule"),
    [pytest.param(*row[1:], id=f"{row[0]}-{row[2]}-{row[4]}") for row in TABLE],
)
def test_the_table(facts: dict[str, Any], wish: bool | None, hosts: bool, rule: str) -> None:
    decision = decide(ProcessFacts(**{"program": "manage.py", **facts}, autostart=wish))

    assert (decision.hosts, decision.rule) == (hosts, rule)


def test_every_rule_is_hit_by_a_row() -> None:
    names = [rule.name for rule in RULES]

    assert sorted({row[4] for row in TABLE}) == sorted(names)
    assert len(set(names)) == len(names)


def test_the_reason_names_who_wished_it() -> None:
    facts = ProcessFacts("runserver", autostart=False, autostart_source="HOSTING_AUTOSTART")

    assert decide(facts).reason == "HOSTING_AUTOSTART says that web processes do not host"


texts = st.text(max_size=12)
any_facts = st.builds(
    ProcessFacts,
    program=texts | st.sampled_from(["manage.py", "gunicorn", "-c", "{facts}"]),
    server=texts | st.sampled_from(["gunicorn", "uvicorn"]),
    role=st.none() | st.sampled_from(Role),
    lifespan=st.booleans(),
    request=st.booleans(),
    helper=st.booleans(),
    green_threads=st.booleans(),
    command=st.none() | texts | st.sampled_from(["runserver", "runworker", "test", "migrate"]),
    arguments=st.lists(texts | st.sampled_from(["--noreload", "--nor", "8000"])).map(tuple),
    reloader_child=st.booleans(),
    under_test=st.booleans(),
    autostart=st.none() | st.booleans(),
    autostart_source=st.sampled_from(["HOSTING_AUTOSTART", 'HOSTING["AUTOSTART"]']),
    autostart_problem=st.just("") | texts,
)


@given(any_facts)
def test_every_process_gets_one_decision_and_always_the_same(facts: ProcessFacts) -> None:
    decision = decide(facts)

    assert isinstance(decision, Decision)
    assert decision == decide(facts)
    assert decision.rule in {rule.name for rule in RULES}
    assert decision.reason


@given(any_facts)
def test_no_wish_makes_tests_commands_and_parents_host(facts: ProcessFacts) -> None:
    hosts = decide(facts).hosts

    if facts.under_test or is_reloader_parent(facts) or facts.autostart_problem:
        assert not hosts
    serves = facts.role is Role.SERVES or facts.lifespan or facts.request
    if facts.green_threads or (facts.helper and not serves):
        assert not hosts
    if facts.role is Role.WATCHES or (facts.command not in (None, "runserver") and not serves):
        assert not hosts
    if facts.autostart is False:
        assert not hosts


@given(any_facts)
def test_the_decision_reads_nothing_but_the_facts(facts: ProcessFacts) -> None:
    before = decide(facts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["manage.py", "runserver", "--noreload"])
        patch.setenv("HOSTING_AUTOSTART", "1")
        patch.setenv("RUN_MAIN", "true")
        assert decide(facts) == before
