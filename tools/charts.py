"""Charts as SVG, of which a browser needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import cycle
from math import ceil, floor, log10
from pathlib import Path

_WIDTH, _HEIGHT = 900, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 190, 40, 40

_COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b")

#: x and y; y is None where there is nothing to be shown, and the line has a gap.
Points = Sequence[tuple[float, float | None]]


@dataclass(frozen=True)
class _Axis:
    """Which part of its length a value is at."""

    least: float
    most: float
    ticks: Sequence[float]
    logarithmic: bool = False

    @classmethod
    def linear(cls, most: float) -> _Axis:
        """From 0, in quarters."""
        return cls(0, most, [most * step / 4 for step in range(5)])

    @classmethod
    def powers(cls, least: float, most: float) -> _Axis:
        """From one power of ten to another."""
        first, last = floor(log10(least)), ceil(log10(most))
        return cls(first, max(last, first + 1), [10.0**power for power in range(first, last + 1)], True)

    def share(self, value: float) -> float:
        """Return it, from 0 to 1."""
        return ((log10(value) if self.logarithmic else value) - self.least) / (self.most - self.least)


def line_chart(
    path: Path,
    title: str,
    unit: str,
    lines: Mapping[str, Points],
    across: str = "minutes",
    *,
    logarithmic: bool = False,
) -> None:
    """Write a chart of lines.

    Args:
        unit: of y.
        across: what x is.
        logarithmic: whether y is in powers of ten; values that have none are left out.
    """
    if logarithmic:
        lines = {
            name: [(x, y if y is not None and y > 0 else None) for x, y in points]
            for name, points in lines.items()
        }
    known = [(x, y) for points in lines.values() for x, y in points if y is not None]
    last = max((x for x, _ in known), default=0) or 1
    values = [y for _, y in known]
    axis = (
        _Axis.powers(min(values), max(values))
        if logarithmic and values
        else _Axis.linear(max(values, default=0) or 1)
    )
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="24" font-size="15">{escape(title)}</text>',
    ]
    for tick in axis.ticks:
        y = _TOP + height * (1 - axis.share(tick))
        parts += [
            f'<line x1="{_LEFT}" x2="{_LEFT + width}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>',
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:,.4g}</text>',
        ]
    for step in range(5):
        x = _LEFT + width * step / 4
        parts.append(
            f'<text x="{x:.1f}" y="{_TOP + height + 18}" text-anchor="middle">{last * step / 4:.3g}</text>'
        )
    parts.append(
        f'<text x="{_LEFT + width + 10}" y="{_TOP + height + 18}">{escape(across)}; {escape(unit)}</text>'
    )
    for (name, points), colour, row in zip(lines.items(), cycle(_COLOURS), range(len(lines))):
        for piece in _pieces(points):
            shown = " ".join(
                f"{_LEFT + width * x / last:.1f},{_TOP + height * (1 - axis.share(y)):.1f}" for x, y in piece
            )
            parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.3" points="{shown}"/>')
        parts.append(
            f'<text x="{_LEFT + width + 10}" y="{_TOP + 12 + 18 * row}" fill="{colour}">{escape(name)}</text>'
        )
    path.write_text("\n".join([*parts, "</svg>\n"]))


def bar_chart(path: Path, title: str, unit: str, groups: Mapping[str, Mapping[str, float]]) -> None:
    """Write a chart of bars: a group of them below each other for each name, and each with its value."""
    most = max((value for bars in groups.values() for value in bars.values()), default=0) or 1
    colours = dict(zip(dict.fromkeys(name for bars in groups.values() for name in bars), cycle(_COLOURS)))
    width = _WIDTH - _LEFT - _RIGHT
    parts = []
    y = _TOP
    for group, bars in groups.items():
        parts.append(f'<text x="{_LEFT}" y="{y + 12}" font-weight="bold">{escape(group)}</text>')
        y += 18
        for name, value in bars.items():
            length = max(0, width * value / most)
            parts += [
                f'<rect x="{_LEFT}" y="{y}" width="{length:.1f}" height="14" fill="{colours[name]}"/>',
                f'<text x="{_LEFT + length + 6:.1f}" y="{y + 12}">'
                f"{escape(name)}: {value:,.4g} {escape(unit)}</text>",
            ]
            y += 17
        y += 8
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{y}" fill="white"/>',
        f'<text x="{_LEFT}" y="24" font-size="15">{escape(title)}</text>',
    ]
    path.write_text("\n".join([*head, *parts, "</svg>\n"]))


def _pieces(points: Points) -> list[list[tuple[float, float]]]:
    """The line without its gaps."""
    pieces: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if y is None:
            pieces.append([])
        else:
            pieces[-1].append((x, y))
    return [piece for piece in pieces if piece]
