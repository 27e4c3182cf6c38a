"""All trials of a run, interleaved: each subject once, in turn, round after round."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from bench.peers import ENTRIES, Entry
from bench.place import POSTGRESQL, SQLITE
from bench.project.tracing import SWITCH
from bench.results import Results, key
from bench.server import Servers

ALL_DATABASES = [POSTGRESQL, SQLITE]

#: Measures that no database has a part in; they stand in the first column.
_WITHOUT_DATABASE = ("memory",)
#: Jobs of the measures for which it does not matter how fast a subject drains.
_JOBS = {"enqueue": 5_000, "enqueue_many": 100_000, "memory": 200_000}
#: Seconds that a trial may take beside what its sizes ask for.
_PATIENCE = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is asked for on the command line; `scale` multiplies the jobs of every trial."""

    rounds: int
    databases: list[str]
    only: list[str]  # measures; empty: all
    peers: list[str]  # subjects; empty: all
    scale: float
    waiting: int
    samples: int
    idle_seconds: float
    snapshot_seconds: float
    limit: float
    quick: bool

    @property
    def is_complete(self) -> bool:
        """Whether its results are those of the product, and no look at a part of it."""
        everything = not self.only and not self.peers and self.databases == ALL_DATABASES
        return everything and not self.quick


@dataclass(frozen=True, slots=True)
class Trial:
    """One measure of one subject on one database."""

    entry: Entry
    measure: str
    database: str

    @property
    def key(self) -> str:
        return key(self.measure, self.database, self.entry.name)


def run(options: Options, servers: Servers, results: Results) -> None:
    """Run every trial so many times; a failure is noted and stops nobody."""
    trials = list(_planned(options))
    for round_ in range(1, options.rounds + 1):
        for number, trial in enumerate(trials, 1):
            progress = f"[{round_}/{options.rounds} {number}/{len(trials)}] {trial.key}"
            if trial.entry.needs_redis and not servers.redis:
                answer: Mapping[str, Any] = {"skipped": "redis-server is not on PATH"}
            else:
                answer = _perform(trial, options, servers)
            results.add(trial.key, answer)
            print(f"{progress}: {_shown(answer)}", file=sys.stderr, flush=True)


def _planned(options: Options) -> Iterator[Trial]:
    """In the order of the measures, so that what is compared is measured close together."""
    named = [name for entry in ENTRIES for name in entry.measures]
    for measure in options.only or dict.fromkeys(named):
        for database in options.databases:
            if measure in _WITHOUT_DATABASE and database == SQLITE:
                continue
            for entry in ENTRIES:
                wanted = not options.peers or entry.name in options.peers
                if wanted and measure in entry.measures and database in entry.databases:
                    yield Trial(entry, measure, database)


def _perform(trial: Trial, options: Options, servers: Servers) -> Mapping[str, Any]:
    jobs = _JOBS.get(trial.measure, trial.entry.jobs)
    sizes = {
        "peer": trial.entry.name,
        "jobs": max(200, int(jobs * options.scale)),
        **{
            name: getattr(options, name)
            for name in ("waiting", "samples", "idle_seconds", "snapshot_seconds", "limit")
        },
    }
    command = [sys.executable, "-m", "bench.trial", trial.measure, trial.entry.module]
    with servers.place(trial.database) as place:
        place = replace(place, variant=trial.entry.variant)
        environment = {**os.environ, **place.environment()}
        environment.pop("DJANGO_SETTINGS_MODULE", None)
        if trial.measure in ("idle", "idle_fleet"):
            environment[SWITCH] = "1"
        return _answer([*command, json.dumps(sizes)], environment, options)


def _answer(
    command: list[str], environment: Mapping[str, str], options: Options
) -> Mapping[str, Any]:
    patience = _PATIENCE + options.snapshot_seconds + options.limit
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        output, errors = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        return {"failed": f"it took more than {patience:g} s"}
    finally:
        if process.poll() is None:
            process.terminate()  # it ends its workers first
            process.communicate()
    if process.returncode:
        return {"failed": (errors.strip().splitlines() or ["no output"])[-1]}
    with suppress(IndexError, ValueError):
        answer: dict[str, Any] = json.loads(output.splitlines()[-1])
        return answer
    return {"failed": f"no answer in {output[-200:]!r}"}


def _shown(answer: Mapping[str, Any]) -> str:
    if numbers := answer.get("numbers"):
        return ", ".join(f"{name} {value:,.4g}" for name, value in numbers.items())
    return next(f"{outcome}: {reason}" for outcome, reason in answer.items())


def new_results(options: Options, versions: Mapping[str, str]) -> Results:
    return Results(versions, asdict(options))
