"""Style sheets, scripts and pictures: they come with the package, and nothing comes from elsewhere."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from .site import STATIC, versions

_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}


async def static(request: Request) -> Response:
    """Return a file; a browser may keep the version that the page names."""
    name = str(request.path_params["name"])
    version = versions().get(name)
    if version is None:
        raise HTTPException(404, "There is no such file.")
    path = STATIC / name
    is_named = request.query_params.get("v") == version
    return FileResponse(
        path,
        media_type=_TYPES[path.suffix],
        headers={"Cache-Control": "public, max-age=31536000, immutable" if is_named else "no-cache"},
    )
