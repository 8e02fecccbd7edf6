"""How `make docs` makes the site: of the pages as they lie in the repository, and of the code's docstrings.

The source folder is the root of the repository, so that links from page to page are the same here and in a
checkout. What is no page of the site stays out by `include_patterns`.
"""

from __future__ import annotations

import re
from importlib.metadata import version as version_of
from typing import ClassVar

from docutils import nodes
from pygments.lexers.sql import PostgresLexer
from pygments.token import Comment
from sphinx.application import Sphinx
from sphinx.search.en import SearchEnglish
from sphinx.transforms.post_transforms import SphinxPostTransform

project = "pg_background"
author = "the pg_background developers"
copyright = author
release = version_of("pg_background")
version = release

root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "CODE_OF_CONDUCT.md",
    "SECURITY.md",
    "examples/README.md",
    "monitoring/README.md",
    "tests/README.md",
    "tests/**/README.md",
    "extension/**/README.md",
]
exclude_patterns = [".venv", "build", "docs/site/_*"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]

myst_enable_extensions = ["colon_fence", "attrs_block", "attrs_inline"]
# Links to headings, as they are written on the pages.
myst_heading_anchors = 4

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_typehints_format = "short"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
nitpicky = True
# Names in signatures: those of other projects have no pages here, and aliases none of their own.
nitpick_ignore_regex = [(r"py:.*", r".*")]

html_theme = "furo"
html_title = "pg_background"
html_static_path = ["_static"]
templates_path = ["_templates"]
html_css_files = ["site.css"]
html_js_files = ["search.js"]
html_favicon = "_static/icon.svg"
html_extra_path = ["home"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "sidebar_hide_name": False,
    "light_logo": "icon.svg",
    "dark_logo": "icon.svg",
    "light_css_variables": {
        # The system's fonts: nothing is loaded from elsewhere.
        "font-stack": "system-ui, -apple-system, Segoe UI, Roboto, Noto Sans, sans-serif",
        "font-stack--monospace": "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace",
        "color-brand-primary": "#2f5d8a",
        "color-brand-content": "#2f5d8a",
    },
    "dark_css_variables": {"color-brand-primary": "#8fb8de", "color-brand-content": "#8fb8de"},
}
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/versions.html",
        "sidebar/scroll-end.html",
    ]
}


class PsqlLexer(PostgresLexer):
    """SQL with psql's own commands, such as `\\gset`, and its variables."""

    name = "SQL of psql"
    aliases = ("psql-sql",)
    tokens: ClassVar = {
        **PostgresLexer.tokens,
        "root": [(r"\\\w+[^\n;]*", Comment.Preproc), *PostgresLexer.tokens["root"]],
    }


def as_rst(_app: Sphinx, _what: str, _name: str, _of: object, _options: object, lines: list[str]) -> None:
    """Docstrings have blocks of code as Markdown has them."""
    made: list[str] = []
    inside = False
    for line in lines:
        if line.strip().startswith("```"):
            indent = line[: len(line) - len(line.lstrip())]
            inside = not inside
            made += [f"{indent}.. code-block:: {line.strip()[3:]}", ""] if inside else [""]
        else:
            made.append(f"   {line}" if inside else line)
    lines[:] = made


class SearchWithCodes(SearchEnglish):
    """Numbers are no words, but SQLSTATEs are; `search.js` asks for them."""

    def word_filter(self, word: str) -> bool:
        """Return whether a word can be searched for."""
        return bool(re.fullmatch(r"\d{5}", word)) or super().word_filter(word)


class LinkToPicture(SphinxPostTransform):
    """A picture leads to itself: where a page is narrow, it is too small to be read."""

    default_priority = 1

    def run(self, **_: object) -> None:
        """Called for each page that is written."""
        for image in list(self.document.findall(nodes.image)):
            # Sphinx makes the link where a size is given.
            image["width"] = "100%"


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.add_search_language(SearchWithCodes)
    app.add_post_transform(LinkToPicture)
    app.add_lexer("sql", PsqlLexer)
    app.connect("autodoc-process-docstring", as_rst, priority=100)
