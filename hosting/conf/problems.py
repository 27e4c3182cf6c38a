"""What can be wrong with the settings, in the words that checks and start-up errors share."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: an id for the system check, the place, and what is the matter."""

    id: str
    where: str
    matter: str

    def __str__(self) -> str:
        return f"{self.where}: {self.matter}."


def did_you_mean(found: object, known: Iterable[str]) -> str:
    """The end of a message that lists the known names, and the nearest of them if one is near."""
    known = list(known)
    near = difflib.get_close_matches(str(found).upper(), [name.upper() for name in known], n=1)
    by_upper = {name.upper(): name for name in known}
    hint = f"; did you mean {by_upper[near[0]]!r}?" if near else ""
    return f"allowed: {', '.join(map(repr, known))}{hint}"
