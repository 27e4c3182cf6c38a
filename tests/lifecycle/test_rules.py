"""Every rule of the lifecycle is shown by at least one test, which cites its number."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
RULES = {
    1: "order of the start",
    2: "execute never delays the start; readiness",
    3: "a failing start rolls back",
    4: "order of the stop; everyone is asked; one ExceptionGroup",
    5: "when the token of execute is cancelled",
    6: "one budget; laggards are named",
    7: "stop at any time; start once",
    8: "restarts, backoff, intensity, escalation",
    9: "signals and exit codes",
    10: "host.lifetime.stop()",
    11: "scopes",
}


@functools.cache
def citations() -> frozenset[int]:
    """The rules that docstrings of tests cite."""
    texts = [
        text for path in TESTS.rglob("test_*.py") if "Lifecycle " in (text := path.read_text())
    ]
    return frozenset(cited for text in texts for cited in cited_in(text))


def cited_in(text: str) -> Iterator[int]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            cited = re.match(r"Lifecycle ([\d, and]+)", ast.get_docstring(node) or "")
            yield from map(int, re.findall(r"\d+", cited[1] if cited else ""))


@pytest.mark.parametrize("rule", RULES, ids=RULES.get)
def test_the_rule_is_shown(rule: int) -> None:
    assert rule in citations()


def test_no_test_cites_a_rule_that_is_not_there() -> None:
    assert citations() == RULES.keys()
