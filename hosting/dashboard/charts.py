"""Bars as SVG: where each stands, in a picture 100 high and one wide for each bar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hosting.dashboard.traffic import Bar, Span, Times
from hosting.templatetags.hosting_dashboard import clock, span

HEIGHT = 100.0


@dataclass(frozen=True, slots=True)
class Drawn:
    """One bar: how high it is as a whole, and a part of it from the ground."""

    x: int
    whole: float
    part: float
    words: str
    is_unknown: bool = False

    @property
    def top(self) -> float:
        return HEIGHT - self.whole

    @property
    def part_top(self) -> float:
        return HEIGHT - self.part


@dataclass(frozen=True, slots=True)
class Chart:
    """What a template draws."""

    title: str
    kind: str  # what its colours mean: "ended" or "times"
    most: str  # what the highest bar says
    words: str  # what a screen reader says of it
    bars: Sequence[Drawn]
    first: str
    last: str

    @property
    def width(self) -> int:
        return len(self.bars)


def charts(bars: Sequence[Bar], of: Span) -> list[Chart]:
    """What is drawn of these bars."""
    counts = [bar.ended for bar in bars]
    ended = sum(each.number for each in counts if each)
    least = "" if all(each and not each.is_capped for each in counts) else "At least "
    failed = sum(bar.failed for bar in bars)
    return [
        _chart(
            "Ended",
            "ended",
            bars,
            lambda bar: (float(bar.ended.number if bar.ended else 0), float(bar.failed)),
            lambda value: f"{value:,.0f}",
            f"{least}{ended:,} jobs of the last {of.name} have ended, {failed:,} of them failed.",
        ),
        _times("Waited", bars, lambda bar: bar.waited),
        _times("Ran", bars, lambda bar: bar.ran),
    ]


def _times(title: str, bars: Sequence[Bar], times: Callable[[Bar], Times]) -> Chart:
    longest = max((times(bar).longest for bar in bars), default=0.0)
    return _chart(
        title,
        "times",
        bars,
        lambda bar: (times(bar).longest, times(bar).median),
        span,
        f"{title} {span(longest)} at most.",
    )


def _chart(
    title: str,
    kind: str,
    bars: Sequence[Bar],
    values: Callable[[Bar], tuple[float, float]],
    told: Callable[[float], str],
    words: str,
) -> Chart:
    most = max((values(bar)[0] for bar in bars), default=0.0)
    scale = HEIGHT / most if most else 0.0
    part = "failed" if kind == "ended" else "median"
    drawn = []
    for x, bar in enumerate(bars):
        whole, inner = values(bar)
        if bar.ended is None:
            words_of_bar = f"{clock(bar.at)}: not counted yet"
            drawn.append(Drawn(x, HEIGHT, 0.0, words_of_bar, is_unknown=True))
        else:
            words_of_bar = f"{clock(bar.at)}: {told(whole)}, {part} {told(inner)}"
            drawn.append(Drawn(x, whole * scale, min(inner, whole) * scale, words_of_bar))
    return Chart(title, kind, told(most), words, drawn, clock(bars[0].at), "now")
