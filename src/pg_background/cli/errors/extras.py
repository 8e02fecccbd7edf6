"""Commands that need an extra which may not be installed."""

from __future__ import annotations

from ...errors import UserError


def missing_extra(
    error: ModuleNotFoundError, extra: str, *packages: str, called: str = "", remark: str = ""
) -> Exception:
    """Return what to raise: what is missing, and how to get it; the error itself where it is another's.

    Args:
        extra: name of the extra.
        packages: top-level modules that it brings.
        called: what is said to be missing, instead of the module.
        remark: what else is to be known, for the end of the hint.
    """
    module = (error.name or "").partition(".")[0]
    if module not in packages:
        return error
    name = called or module.replace("_", "-")
    return UserError(f"{name} is not installed", hint=f"pip install 'pg_background[{extra}]'{remark}")
