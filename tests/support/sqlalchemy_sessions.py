"""Sessions as applications make them, by names that tests/ext/test_sqlalchemy_async.py and its twin share."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session


class AsyncMadeSession(AsyncSession):
    """Keeps its objects loaded after a commit."""

    def __init__(self, engine: AsyncEngine, **options: Any) -> None:
        super().__init__(engine, expire_on_commit=False, **options)


MadeSession = Session
