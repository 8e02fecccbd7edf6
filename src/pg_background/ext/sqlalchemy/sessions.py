"""What of SQLAlchemy executes statements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session, scoped_session

ASYNC = (AsyncSession, AsyncConnection)
SYNC = (Session, scoped_session, Connection)

if TYPE_CHECKING:
    AnySession: TypeAlias = Session | scoped_session[Any] | Connection
    AsyncAnySession: TypeAlias = AsyncSession | AsyncConnection
