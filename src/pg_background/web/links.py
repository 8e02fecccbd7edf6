"""The addresses of all pages, below wherever the app is mounted."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from starlette.requests import Request


class Links:
    """Writes them."""

    def __init__(self, root: str, versions: Mapping[str, str]) -> None:
        """
        Args:
            root: where the app is mounted, without a slash at its end.
            versions: of static files, so that a browser's copies are no older than the page.
        """
        self.root = root
        self._versions = versions

    @classmethod
    def of(cls, request: Request, versions: Mapping[str, str]) -> Links:
        """Return those of a request's app."""
        return cls(request.scope.get("root_path", "").rstrip("/"), versions)

    def home(self) -> str:
        """The list of servers."""
        return f"{self.root}/"

    def static(self, name: str) -> str:
        """A style sheet, a script, a picture."""
        return f"{self.root}/static/{name}?v={self._versions.get(name, '')}"

    def sign_in(self, server: str = "", then: str = "") -> str:
        """The form; `then` is where to go from there."""
        return f"{self.root}/sign-in{query_of(server=server, then=then)}"

    def sign_out(self) -> str:
        """What its button sends."""
        return f"{self.root}/sign-out"

    def page(self, server: str, view: str, query: str = "") -> str:
        """A view of a server."""
        return f"{self.root}/s/{quote(server)}/{view}{query}"

    def live(self, server: str, view: str, query: str = "") -> str:
        """The stream of a view's news."""
        return f"{self.root}/s/{quote(server)}/live/{view}{query}"

    def job(self, server: str, key: str | None, action: str = "") -> str:
        """A job, or what its buttons send."""
        return self.page(server, f"jobs/{quote(key or '', safe=':@')}") + (f"/{action}" if action else "")


def query_of(**values: object) -> str:
    """Return what an address ends with, for those that are not empty."""
    given = {name: str(value) for name, value in values.items() if value not in ("", None)}
    return f"?{urlencode(given)}" if given else ""
