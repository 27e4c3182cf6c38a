"""The start gate: does this process host services from `AppConfig.ready()`?

One pure function reads a table of rules from the top; the first that fits decides. Processes that
are known to serve requests host, and everything else does not: there is no list of commands to
avoid, which would be wrong with the next command that somebody writes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hosting.process.facts import ProcessFacts
from hosting.process.servers import Role


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a process hosts, and why."""

    hosts: bool
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the table; `reason` is a format string over the facts."""

    name: str
    fits: Callable[[ProcessFacts], bool]
    hosts: bool
    reason: str


def decide(facts: ProcessFacts) -> Decision:
    """The decision for a process with these facts; pure."""
    rule = next(rule for rule in RULES if rule.fits(facts))
    return Decision(rule.hosts, rule.name, rule.reason.format(facts=facts))


def is_reloader_parent(facts: ProcessFacts) -> bool:
    """Whether this is a `runserver` that only watches over the child which serves."""
    return (
        facts.command == "runserver"
        and not facts.reloader_child
        and not any(_means_noreload(argument) for argument in facts.arguments)
    )


def _means_noreload(argument: str) -> bool:
    # argparse takes any beginning that is unambiguous; `--no` could be `--nothreading`.
    return len(argument) > len("--no") and "--noreload".startswith(argument)


def _serves(facts: ProcessFacts) -> bool:
    return facts.role is Role.SERVES or facts.lifespan or facts.request


RULES: tuple[Rule, ...] = (
    Rule(
        "tests",
        lambda facts: facts.under_test,
        False,
        "tests start the services that they need themselves",
    ),
    Rule(
        "worker",
        lambda facts: facts.command == "runworker",
        False,
        "runworker is a host of its own, it starts its services itself",
    ),
    Rule(
        "helper",
        lambda facts: facts.helper and not _serves(facts),
        False,
        "multiprocessing has started this process, and it does not serve requests",
    ),
    Rule(
        "green threads",
        lambda facts: facts.green_threads,
        False,
        "threads are greenlets here, which the first one that waits would stop; run the services "
        "in manage.py runworker",
    ),
    Rule(
        "reloader parent",
        is_reloader_parent,
        False,
        "this process of runserver only watches the files, its child serves and hosts",
    ),
    Rule(
        "server's parent",
        lambda facts: facts.role is Role.WATCHES,
        False,
        "this process of {facts.server} only starts and watches those that serve; each of them "
        "decides for itself",
    ),
    Rule(
        "other command",
        lambda facts: facts.command not in (None, "runserver") and not _serves(facts),
        False,
        "the management command {facts.command!r} is not known to serve requests",
    ),
    Rule(
        "not understood",
        lambda facts: bool(facts.autostart_problem),
        False,
        "{facts.autostart_problem}",
    ),
    Rule(
        "switched off",
        lambda facts: facts.autostart is False,
        False,
        "{facts.autostart_source} says that web processes do not host",
    ),
    Rule(
        "runserver",
        lambda facts: facts.command == "runserver",
        True,
        "runserver serves requests in this process",
    ),
    Rule(
        "switched on",
        lambda facts: facts.autostart is True,
        True,
        "{facts.autostart_source} says that web processes host",
    ),
    Rule(
        "server",
        lambda facts: facts.role is Role.SERVES,
        True,
        "{facts.server} serves requests in this process",
    ),
    Rule(
        "lifespan",
        lambda facts: facts.lifespan,
        True,
        "an ASGI server has begun its lifespan in this process",
    ),
    Rule(
        "unknown",
        lambda facts: True,
        False,
        "{facts.program!r} is not known to serve requests; if this process does, "
        "set HOSTING_AUTOSTART=1 in its environment, unless its first request shows a known server",
    ),
)
