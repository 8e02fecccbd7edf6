"""The documentation site as `make docs` has made it, for those who look at it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..support.pages import DOCS, ROOT

_MADE = ROOT / "build" / "docs" / "versions.js"


def made_site(version: str) -> Path | None:
    """Return its folder, if it is there and no page has been changed since."""
    folder = _MADE.parent / version
    if not (_MADE.exists() and (folder / "index.html").exists()):
        return None
    changed = max(path.stat().st_mtime for path in DOCS.rglob("*") if path.is_file())
    return folder if changed < _MADE.stat().st_mtime else None


@dataclass
class HtmlPage(HTMLParser):
    """What a page has that others may lead to, and what it leads to."""

    path: Path
    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    pictures_without_words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called for each tag."""
        given = dict(attrs)
        self.ids |= {given[name] or "" for name in ("id", "name") if name in given}
        self.links += [given[name] or "" for name in ("href", "src") if name in given]
        if tag == "img" and not given.get("alt"):
            self.pictures_without_words.append(given.get("src") or "")

    def leads_to(self) -> list[tuple[str, Path, str]]:
        """Return its links that stay on the site: as they are written, the file, and the place there."""
        found = []
        for link in self.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link == "":
                continue
            target = (self.path.parent / unquote(parts.path)).resolve() if parts.path else self.path
            found.append((link, target, unquote(parts.fragment)))
        return found


def pages_of(site: Path) -> dict[Path, HtmlPage]:
    """Return all pages, by their files."""
    return {path: HtmlPage(path) for path in sorted(site.resolve().rglob("*.html"))}


def described_names(site: Path) -> set[str]:
    """Return the names of Python that the site describes, as other sites may look them up."""
    compressed = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    lines = zlib.decompress(compressed).decode().splitlines()
    return {line.split(" ")[0] for line in lines if " py:" in line}
