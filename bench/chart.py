"""A chart as SVG: the drain of no-op jobs by one worker process, a panel for each database."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from bench.goals import OURS
from bench.results import Results, Spread, key

_WIDTH, _LABEL, _BAR, _VALUE = 760, 150, 24, 170
_STYLE = (
    "text { font: 13px sans-serif; fill: #222 } .title { font-weight: bold }"
    " .bar { fill: #9aa7b4 } .ours { fill: #1f6f43 } .spread { stroke: #222 }"
    " @media (prefers-color-scheme: dark) { text { fill: #ddd } .spread { stroke: #ddd } }"
)


def draw(results: Results) -> str:
    """The whole document; bars are medians, lines go from the least to the greatest round."""
    parts: list[str] = []
    top = 0
    for database in results.options["databases"]:
        bars = sorted(_bars(results, database), key=lambda bar: -bar[1].median)
        if bars:
            parts += _panel(database, bars, top)
            top += _BAR * (len(bars) + 2)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {max(top, _BAR)}" '
        f'role="img" aria-label="Jobs per second">'
    )
    return "\n".join([head, f"<style>{_STYLE}</style>", *parts, "</svg>"]) + "\n"


def _bars(results: Results, database: str) -> Iterator[tuple[str, Spread]]:
    prefix = key("drain", database, "")
    for name in results.rounds:
        if name.startswith(prefix) and (spread := results.spread(name, "jobs_per_second")):
            yield name.removeprefix(prefix), spread


def _panel(database: str, bars: list[tuple[str, Spread]], top: int) -> Iterator[str]:
    title = f"{database}: no-op jobs per second, one worker process"
    yield f'<text class="title" x="0" y="{top + 17}">{escape(title)}</text>'
    scale = (_WIDTH - _LABEL - _VALUE) / max(spread.maximum for _, spread in bars)
    for number, (name, spread) in enumerate(bars, 1):
        y = top + number * _BAR
        middle, width = y + _BAR // 2, spread.median * scale
        kind = "ours" if name.startswith(OURS) else "bar"
        left, right = (_LABEL + value * scale for value in (spread.minimum, spread.maximum))
        yield f'<text x="{_LABEL - 8}" y="{y + 17}" text-anchor="end">{escape(name)}</text>'
        yield f'<rect class="{kind}" x="{_LABEL}" y="{y + 4}" width="{width:.1f}" height="16"/>'
        yield (
            f'<line class="spread" x1="{left:.1f}" x2="{right:.1f}" y1="{middle}" y2="{middle}"/>'
        )
        yield f'<text x="{right + 8:.1f}" y="{y + 17}">{spread.median:,.0f}</text>'
