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
        end = "" if self.matter.endswith("?") else "."
        return f"{self.where}: {self.matter}{end}"


def allowed_names(found: object, known: Iterable[str], more: str = "") -> str:
    """The end of a message: the known names, what `more` is allowed, and the nearest name."""
    by_upper = {name.upper(): name for name in known}
    near = difflib.get_close_matches(str(found).upper(), list(by_upper), n=1)
    hint = f"; did you mean {by_upper[near[0]]!r}?" if near else ""
    return f"allowed: {', '.join(map(repr, by_upper.values())) or 'none'}{more}{hint}"
