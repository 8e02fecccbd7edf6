"""The report of `make bench`: Markdown with tables and charts, and JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.charts import bar_chart, line_chart

from .figures import MS, RATIO, Figure
from .ways import ALL_WAYS, WARM


@dataclass(frozen=True)
class Part:
    """What one section has found."""

    name: str
    title: str
    note: str
    figures: Sequence[Figure]


def write(folder: Path, facts: Mapping[str, object], notes: Sequence[str], parts: Sequence[Part]) -> Path:
    """Write all files, and return the page's path.

    Args:
        facts: about machine and run.
        notes: what could not be measured.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Charts of a run before, of other sections, would stand beside.
    for old in folder.glob("*.svg"):
        old.unlink()
    content = {
        "facts": facts,
        "notes": notes,
        "sections": [{**asdict(part), "figures": [*map(_as_json, part.figures)]} for part in parts],
    }
    (folder / "bench.json").write_text(json.dumps(content, indent=1) + "\n")
    page = folder / "bench.md"
    page.write_text("\n".join(_page(folder, facts, notes, parts)))
    return page


def _as_json(figure: Figure) -> dict[str, object]:
    return {**asdict(figure), "times": figure.times()}


def _page(
    folder: Path, facts: Mapping[str, object], notes: Sequence[str], parts: Sequence[Part]
) -> Sequence[str]:
    lines = ["# Benchmarks", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in facts.items()]
    if notes:
        lines += ["", "Not measured:", "", *(f"- {note}" for note in notes)]
    for part in parts:
        lines += ["", f"## {part.title}", "", part.note, ""]
        lines += _table([(f"{f.name} ({f.unit})", f.unit, f.values) for f in part.figures])
        times = [(figure.name, RATIO, figure.times()) for figure in part.figures if figure.times()]
        if times:
            lines += ["", f"*{WARM}* in times of the others, median of the rounds:", "", *_table(times)]
        for title, file in _charts(folder, part):
            lines += ["", f"![{title}]({file.name})"]
    return [*lines, ""]


def _table(rows: Sequence[tuple[str, str, Mapping[str, float]]]) -> Sequence[str]:
    columns = ordered(name for _, _, values in rows for name in values)
    lines = ["| | " + " | ".join(columns) + " |", "|---" + "|---:" * len(columns) + "|"]
    for title, unit, values in rows:
        cells = (number(values[name], unit) if name in values else "" for name in columns)
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return lines


def ordered(names: Iterable[str]) -> Sequence[str]:
    """Return each name once: the ways in their order, and then others as they come."""
    found = dict.fromkeys(names)
    return [*(way for way in ALL_WAYS if way in found), *(name for name in found if name not in ALL_WAYS)]


def number(value: float, unit: str) -> str:
    """Return a figure with as many digits as it deserves."""
    if unit == MS:
        return f"{value:.3f}" if value < 10 else f"{value:,.1f}"
    if unit == RATIO:
        return f"{value:.2f}"
    return f"{value:,.0f}"


def _charts(folder: Path, part: Part) -> Sequence[tuple[str, Path]]:
    """Draw those of a section."""
    groups: dict[str, list[Figure]] = {}
    for figure in part.figures:
        if figure.chart:
            groups.setdefault(figure.chart, []).append(figure)
    drawn = []
    for title, figures in groups.items():
        path = folder / (re.sub(r"\W+", "-", f"{part.name} {title}").strip("-").lower() + ".svg")
        if all(figure.x is not None for figure in figures):
            lines = {
                name: [
                    (figure.x, figure.values.get(name))
                    for figure in sorted(figures, key=lambda figure: figure.x or 0)
                    if figure.x is not None
                ]
                for name in ordered(name for figure in figures for name in figure.values)
            }
            # Starting a process for each job takes so much longer that all else would be one line.
            line_chart(path, title, figures[0].unit, lines, across=part.title.lower(), logarithmic=True)
        else:
            bar_chart(path, title, figures[0].unit, {figure.name: figure.values for figure in figures})
        drawn.append((title, path))
    return drawn
