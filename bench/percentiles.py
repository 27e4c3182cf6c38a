"""What is read off many values, the same for every measure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import comb

#: Values that an interval needs to be certain.
CERTAIN = 6


def percentile(ordered: Sequence[float], percent: int) -> float:
    """The smallest value that at least so many percent do not exceed."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def median_interval(values: Iterable[float]) -> tuple[float, float]:
    """Between which values the median of endless rounds lies, with 95 % certainty.

    Of fewer than `CERTAIN` rounds, the least and the greatest, which are less certain. It goes by
    ranks, and assumes nothing about the noise but that a round is as likely below as above.
    """
    ordered = sorted(values)
    rounds = len(ordered)
    cuts = range(rounds // 2)  # how many to leave out at either end
    certain = [cut for cut in cuts if 2 * _chance_of_at_most(cut, rounds) <= 0.05]
    cut = max(certain, default=0)
    return ordered[cut], ordered[-1 - cut]


def _chance_of_at_most(heads: int, coins: int) -> float:
    return float(sum(comb(coins, each) for each in range(heads + 1)) / 2**coins)
