"""Charts as inline SVG: numbers in, markup out. Colours come from the page's classes.

Each chart is drawn about 340 units wide, a phone's width, so that its letters stay readable there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Frame:
    """The plotting area: data ranges and the box, in SVG units, that they are drawn in."""

    x: tuple[float, float]
    y: tuple[float, float]
    left: float
    top: float
    width: float
    height: float

    def px(self, value: float) -> float:
        """Horizontal place of a data value."""
        return self.left + self.width * (value - self.x[0]) / ((self.x[1] - self.x[0]) or 1.0)

    def py(self, value: float) -> float:
        """Vertical place of a data value; up is larger."""
        share = (value - self.y[0]) / ((self.y[1] - self.y[0]) or 1.0)
        return self.top + self.height * (1.0 - share)


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten) inside low..high, about ``about`` of them."""
    if not high > low:
        return [low]
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def tick_text(value: float) -> str:
    """``12000`` -> ``12k``; otherwise as few digits as tell the number."""
    if abs(value) >= 10_000:
        return f"{value / 1000:.4g}k"
    return f"{value:.4g}"


def thin(
    steps: Sequence[float], values: Sequence[float | None], most: int = 160
) -> list[tuple[float, float] | None]:
    """Means over equal runs of steps, at most ``most`` of them; None where a run has no value."""
    run = max(math.ceil(len(steps) / most), 1)
    points: list[tuple[float, float] | None] = []
    for start in range(0, len(steps), run):
        pairs = zip(steps[start : start + run], values[start : start + run], strict=False)
        known = [(s, v) for s, v in pairs if v is not None and math.isfinite(v)]
        if known:
            n = len(known)
            points.append((sum(s for s, _ in known) / n, sum(v for _, v in known) / n))
        else:
            points.append(None)
    return points


def _svg(width: float, height: float, label: str, body: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {width:g} {height:g}" role="img"'
        f' aria-label="{escape(label)}">{body}</svg>'
    )


def _axes(frame: Frame, x_ticks: list[float], y_ticks: list[float], percent: bool = False) -> str:
    """Grid lines with their numbers; ``percent`` says that both axes are shares."""

    def text(value: float) -> str:
        return f"{100 * value:.3g}%" if percent else tick_text(value)

    bottom = frame.top + frame.height
    parts = []
    for value in y_ticks:
        y = frame.py(value)
        parts.append(
            f'<line class="grid" x1="{frame.left:g}" x2="{frame.left + frame.width:g}"'
            f' y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{frame.left - 6:g}" y="{y + 3.5:.1f}" text-anchor="end">{text(value)}</text>'
        )
    for value in x_ticks:
        x = frame.px(value)
        # A number at the right edge would be cut off if it were centred there.
        anchor = "end" if x > frame.left + frame.width - 8 else "middle"
        parts.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom:g}" y2="{bottom + 4:g}"/>'
            f'<text x="{x:.1f}" y="{bottom + 16:g}" text-anchor="{anchor}">{text(value)}</text>'
        )
    return "".join(parts)


def _path(frame: Frame, points: Sequence[tuple[float, float] | None]) -> str:
    """Path data; the line breaks where a point is None."""
    commands, pen_down = [], False
    for point in points:
        if point is not None:
            commands.append(
                f"{'L' if pen_down else 'M'}{frame.px(point[0]):.1f} {frame.py(point[1]):.1f}"
            )
        pen_down = point is not None
    return "".join(commands)


def line_chart(
    name: str,
    points: Sequence[tuple[float, float] | None],
    x: tuple[float, float],
    y: tuple[float, float],
) -> str:
    """One curve over training steps, its last value written at its end."""
    known = [point for point in points if point is not None]
    frame = Frame(x, y, left=40, top=12, width=248, height=118)
    body = _axes(frame, ticks(*x), ticks(*y))
    body += f'<path class="line" d="{_path(frame, points)}"/>'
    if not known:
        return _svg(340, 164, f"{name}: no values", body)
    last_x, last_y = frame.px(known[-1][0]), frame.py(known[-1][1])
    body += (
        f'<circle class="dot" cx="{last_x:.1f}" cy="{last_y:.1f}" r="3"/>'
        f'<text class="strong" x="{last_x + 7:.1f}" y="{last_y + 4:.1f}">{known[-1][1]:.3g}</text>'
        f'<text x="{frame.left + frame.width:g}" y="161" text-anchor="end">step</text>'
    )
    label = (
        f"{name}: from {known[0][1]:.3g} at step {known[0][0]:.0f}"
        f" to {known[-1][1]:.3g} at step {known[-1][0]:.0f}"
    )
    return _svg(340, 164, label, body)


def box_chart(rows: Sequence[tuple[str, Sequence[float]]], axis: str) -> str:
    """One row per name: whisker 5% to 95%, box 25% to 75%, thick line at the median."""
    low, high = min(q[0] for _, q in rows), max(q[4] for _, q in rows)
    pad = 0.06 * (high - low) or 0.5
    frame = Frame((low - pad, high + pad), (0, 1), left=12, top=4, width=316, height=58 * len(rows))
    body = _axes(frame, ticks(*frame.x, about=5), [])
    for i, (name, quantiles) in enumerate(rows):
        q5, q25, q50, q75, q95 = (frame.px(value) for value in quantiles)
        top = frame.top + 58 * i
        middle = top + 36
        body += (
            f'<text class="strong" x="12" y="{top + 14:g}">{escape(name)}</text>'
            f'<text x="328" y="{top + 14:g}" text-anchor="end">median {quantiles[2]:.2f}</text>'
            f'<path class="whisker" d="M{q5:.1f} {middle - 6:g}v12M{q95:.1f} {middle - 6:g}v12'
            f'M{q5:.1f} {middle:g}H{q95:.1f}"/>'
            f'<rect class="box" x="{q25:.1f}" y="{middle - 11:g}" width="{max(q75 - q25, 0.5):.1f}"'
            f' height="22" rx="2"/>'
            f'<path class="median" d="M{q50:.1f} {middle - 11:g}v22"/>'
        )
    bottom = frame.top + frame.height
    body += f'<line class="grid" x1="12" x2="328" y1="{bottom:g}" y2="{bottom:g}"/>'
    body += f'<text x="328" y="{bottom + 32:g}" text-anchor="end">{escape(axis)}</text>'
    label = "; ".join(
        f"{name}: median {q[2]:.2f}, 5% {q[0]:.2f}, 95% {q[4]:.2f}" for name, q in rows
    )
    return _svg(340, bottom + 38, f"{axis}. {label}", body)


def discard_chart(points: Sequence[tuple[float, float, float, float]], random: float | None) -> str:
    """Error over the share discarded, with its band; dashed: discarding at random.

    points (share, error, low, high), all in 0..1, by rising share, one or more.
    """
    top = max(max(high for *_, high in points), random or 0.0, 1e-6) * 1.08
    last = max(points[-1][0], 1e-6)
    frame = Frame((0.0, last), (0.0, top), left=46, top=22, width=278, height=164)
    body = _axes(frame, ticks(*frame.x), ticks(*frame.y), percent=True)
    band = _path(frame, [(share, high) for share, _, _, high in points])
    band += _path(frame, [(share, low) for share, _, low, _ in points[::-1]]).replace("M", "L", 1)
    body += f'<path class="band" d="{band}Z"/>'
    if random is not None:
        y = frame.py(random)
        # Written under its line when the line is at the top of the box, or it would be cut off.
        text_y = y - 6 if y > frame.top + 14 else y + 14
        body += (
            f'<path class="dashed" d="M{frame.left:g} {y:.1f}H{frame.left + frame.width:g}"/>'
            f'<text x="{frame.left + frame.width:g}" y="{text_y:.1f}" text-anchor="end">'
            f"at random {100 * random:.1f}%</text>"
        )
    curve = [(share, error) for share, error, _, _ in points]
    body += f'<path class="line" d="{_path(frame, curve)}"/>'
    body += "".join(
        f'<circle class="dot" cx="{frame.px(s):.1f}" cy="{frame.py(e):.1f}" r="2.6"/>'
        for s, e in curve
    )
    body += '<text x="8" y="12">error</text>'
    body += '<text x="324" y="220" text-anchor="end">share discarded, least sure first</text>'
    label = (
        f"Error {100 * curve[0][1]:.1f}% with {100 * curve[0][0]:.0f}% discarded,"
        f" {100 * curve[-1][1]:.1f}% with {100 * curve[-1][0]:.0f}% discarded"
    )
    return _svg(340, 226, label, body)
