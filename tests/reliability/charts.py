"""Line charts as SVG, of which a browser needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

_WIDTH, _HEIGHT = 900, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 190, 40, 40

_COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf")

#: x and y; y is None where there is nothing to be shown, and the line has a gap.
Points = Sequence[tuple[float, float | None]]


def line_chart(path: Path, title: str, unit: str, lines: Mapping[str, Points]) -> None:
    """Write a chart of lines over the minutes of a run."""
    known = [(x, y) for points in lines.values() for x, y in points if y is not None]
    last = max((x for x, _ in known), default=0) or 1
    most = max((y for _, y in known), default=0) or 1
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="24" font-size="15">{escape(title)}</text>',
    ]
    for step in range(5):
        share = step / 4
        y = _TOP + height * (1 - share)
        x = _LEFT + width * share
        parts += [
            f'<line x1="{_LEFT}" x2="{_LEFT + width}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>',
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{most * share:,.4g}</text>',
            f'<text x="{x:.1f}" y="{_TOP + height + 18}" text-anchor="middle">{last * share:.3g}</text>',
        ]
    parts.append(f'<text x="{_LEFT + width + 10}" y="{_TOP + height + 18}">minutes; {escape(unit)}</text>')
    for (name, points), colour, row in zip(lines.items(), _COLOURS, range(len(lines)), strict=False):
        for piece in _pieces(points):
            shown = " ".join(
                f"{_LEFT + width * x / last:.1f},{_TOP + height * (1 - y / most):.1f}" for x, y in piece
            )
            parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.3" points="{shown}"/>')
        parts.append(
            f'<text x="{_LEFT + width + 10}" y="{_TOP + 12 + 18 * row}" fill="{colour}">{escape(name)}</text>'
        )
    path.write_text("\n".join([*parts, "</svg>\n"]))


def _pieces(points: Points) -> list[list[tuple[float, float]]]:
    """The line without its gaps."""
    pieces: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if y is None:
            pieces.append([])
        else:
            pieces[-1].append((x, y))
    return [piece for piece in pieces if piece]
