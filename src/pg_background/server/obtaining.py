"""The extension for a server: the compiled library that fits, or else one that is built."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from . import prebuilt
from .building import Build, build
from .errors import BuildError, InstallationError
from .installation import Installation


def obtain(
    installation: Installation,
    *,
    anew: bool = False,
    building: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Build:
    """Return the extension for an installation.

    Args:
        anew: build it, even if there is a library that fits.
        building: entered while it is built, to tell somebody.

    Raises:
        InstallationError: none fits, and the installation has no server headers; or it has no server.
        BuildError: none fits, and it can't be built.
    """
    reason = "it is to be built" if anew else prebuilt.misfit(installation)
    if reason is None:
        return prebuilt.files(installation)
    try:
        with building():
            return build(installation)
    except (BuildError, InstallationError) as error:
        if anew or not prebuilt.FOLDER.is_dir():
            raise
        raise type(error)(
            f"no compiled library fits PostgreSQL {installation.version}: {reason}; "
            f"and none can be built: {error.message}",
            hint=error.hint,
        ) from error
