"""What is wrong with a backfill as it was asked for."""

from __future__ import annotations

from ..errors import UserError


class BackfillError(UserError):
    """A backfill can't be done as it was asked for; nothing of it was begun."""
