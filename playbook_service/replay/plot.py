"""Plots as inline SVG that scales with the page: shapes only, the words stand beside them as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from playbook_service.replay.summary import DISPOSITIONS
from playbook_service.replay.timeline import Timeline
from playbook_service.replay.words import clock, count
from propolis.duration import duration_text
from propolis.verdict.ledger import Line

CLASSES = {"left alone": "alone"}
"""Disposition -> style class, where they differ."""

_HEIGHT, _ROOM = 100.0, 0.86
REACH = 3.0  # log-odds at which a ledger's bar ends: no source weighs more


def css(kind: str) -> str:
    """The style class of a disposition."""
    return CLASSES.get(kind, kind)


def timeline(bins: Timeline, ident: str) -> str:
    """Stacked bars of alerts over time, by what becomes of them."""
    found = list(bins.bins())
    most = peak(bins) or 1
    shapes = [_stack(index, start, counts, most) for index, (start, counts) in enumerate(found) if counts]
    grid = "".join(f'<line class="grid" x1="0" x2="{len(found)}" y1="{y:g}" y2="{y:g}"/>' for y in _rules())
    title = f"Alerts over time, up to {count(most, 'alert')} in {duration_text(bins.width)}"
    return (
        f'<svg class="plot" role="img" aria-labelledby="{ident}-t {ident}-d" viewBox="0 0 {len(found)} 100" '
        f'preserveAspectRatio="none"><title id="{ident}-t">{escape(title)}</title>'
        f'<desc id="{ident}-d">{escape(_told(found))}</desc>{grid}{"".join(shapes)}'
        f'<line class="zero" x1="0" x2="{len(found)}" y1="100" y2="100"/></svg>'
    )


def peak(bins: Timeline) -> int:
    """The alerts in the fullest bin."""
    return max((sum(counts.values()) for _, counts in bins.bins()), default=0)


def _rules() -> Sequence[float]:
    return (_HEIGHT * (1 - _ROOM), _HEIGHT * (1 - _ROOM / 2))


def _stack(index: int, start: float, counts: Mapping[str, int], most: int) -> str:
    told = ", ".join(f"{counts[kind]} {kind}" for kind in DISPOSITIONS if counts.get(kind))
    parts, y = [f"<title>{escape(clock(start))}: {escape(told)}</title>"], _HEIGHT
    for kind in reversed(DISPOSITIONS):
        if counts.get(kind):
            height = counts[kind] / most * _HEIGHT * _ROOM
            y -= height
            parts.append(
                f'<rect class="{css(kind)}" x="{index + 0.08:g}" y="{y:.3f}" width=".84" height="{height:.3f}"/>'
            )
    return f"<g>{''.join(parts)}</g>"


def _told(found: Sequence[tuple[float, Mapping[str, int]]]) -> str:
    if not found:
        return "No alert."
    busiest, counts = max(found, key=lambda entry: sum(entry[1].values()))
    period = f"From {clock(found[0][0])} to {clock(found[-1][0])} UTC"
    return f"{period}; busiest at {clock(busiest)} with {sum(counts.values())}."


def axis(bins: Timeline, most: int = 5) -> list[str]:
    """Labels for the time axis at bins that lie about evenly, the first and the last among them."""
    found = [start for start, _ in bins.bins()]
    if not found:
        return []
    found.append(found[-1] + bins.width)
    one_day = found[0] // 86_400 == (found[-1] - 1) // 86_400
    form = "%H:%M" if one_day else "%d %b %H:%M" if found[-1] - found[0] < 4 * 86_400 else "%d %b %Y"
    steps = max(1, min(most, len(found)) - 1)
    return [clock(found[round((len(found) - 1) * step / steps)], form) for step in range(steps + 1)]


def stacked(counts: Mapping[str, int], kinds: Iterable[str], full: int, label: str) -> str:
    """One horizontal bar, divided by kind; `full` is the length of the whole track."""
    x, parts = 0.0, [f"<title>{escape(label)}</title>"]
    for kind in kinds:
        width = counts.get(kind, 0) / (full or 1) * 100
        if width:
            parts.append(f'<rect class="{css(kind)}" x="{x:.3f}" y="0" width="{width:.3f}" height="10"/>')
            x += width
    return f"{_track(label)}{''.join(parts)}</svg>"


def _track(label: str) -> str:
    return f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 100 10" preserveAspectRatio="none">'


def weight(line: Line) -> str:
    """A source's share of a verdict: to the right it speaks for guilt, to the left for innocence."""
    label = f"{line.source}: {line.kept:+.2f}"
    length = min(abs(line.kept), REACH) / REACH * 50
    x = 50.0 if line.kept >= 0 else 50 - length
    bar = f'<rect class="{escape(line.level or "")}" x="{x:.3f}" y="1" width="{max(length, 0.6):.3f}" height="8"/>'
    return (
        f"{_track(label)}<title>{escape(label)}</title>{bar if line.level else ''}"
        '<line class="zero" x1="50" x2="50" y1="0" y2="10"/></svg>'
    )
