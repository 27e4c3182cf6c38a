"""The numbers of a run: kept by round, read as medians, saved as JSON."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

DIRECTORY = Path(__file__).parent / "results"
LATEST = DIRECTORY / "latest.json"


@dataclass(frozen=True, slots=True)
class Spread:
    """The rounds of one value."""

    median: float
    minimum: float
    maximum: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


def key(measure: str, database: str, peer: str) -> str:
    return f"{measure}/{database}/{peer}"


@dataclass(slots=True)
class Results:
    """`rounds`: by key, the numbers of each round, None where a trial gave none."""

    versions: Mapping[str, str]
    options: Mapping[str, Any]
    rounds: dict[str, list[dict[str, float] | None]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)  # why, by key

    def add(self, name: str, answer: Mapping[str, Any]) -> None:
        self.rounds.setdefault(name, []).append(answer.get("numbers"))
        if reason := answer.get("skipped") or answer.get("failed"):
            self.reasons[name] = reason

    def begin_again(self, measures: Collection[str], versions: Mapping[str, str]) -> None:
        """Drop what these have measured, which is to be measured again on what is there now."""
        told = {
            name: _with_note(self.versions.get(name, ""), measures, value)
            for name, value in versions.items()
        }
        self.versions = {**self.versions, **told}
        for each in [*self.rounds, *self.reasons]:
            if each.partition("/")[0] in measures:
                self.rounds.pop(each, None)
                self.reasons.pop(each, None)

    def spread(self, name: str, number: str) -> Spread | None:
        """Of one number; None if no round has it."""
        values = [row[number] for row in self.rounds.get(name, []) if row and number in row]
        return Spread.of(values) if values else None

    def ratio(self, name: str, base: str, number: str) -> Spread | None:
        """Of two numbers of the same round; None if no round has both."""
        values = self.ratios(name, base, number)
        return Spread.of(values) if values else None

    def ratios(self, name: str, base: str, number: str) -> list[float]:
        """Of two numbers of the same round, for every round that has both."""
        pairs = zip(self.rounds.get(name, []), self.rounds.get(base, []), strict=False)
        return [one[number] / other[number] for one, other in pairs if one and other]

    def numbers(self, name: str) -> list[str]:
        """The names of what was measured under this key."""
        return list(next((row for row in self.rounds.get(name, []) if row), {}))

    def save(self, *, keep: bool) -> Path:
        """Write them under their date, to keep also as the latest; returns the former's path."""
        date = self.versions["date"].partition(" (")[0]
        stamp = date.replace(" ", "-").replace(":", "")
        path = DIRECTORY / f"{stamp}.json"
        if keep:
            self.write(LATEST)
        self.write(path)
        return path

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Results:
        return cls(**json.loads(path.read_text()))


#: Of what else some measures were made with: their names, and what it was.
_NOTE = re.compile(r" \(([a-z_0-9, ]+): ([^()]*)\)")


def _with_note(text: str, measures: Collection[str], value: str) -> str:
    """The text, and that these measures were made with this value, if it is another."""
    first = _NOTE.sub("", text)
    kept = []
    for names, other in _NOTE.findall(text):
        if left := [name for name in names.split(", ") if name not in measures]:
            kept.append((left, other))
    if value != first:
        kept.append((list(measures), value))
    return first + "".join(f" ({', '.join(names)}: {other})" for names, other in kept)
