"""What of the client is generic: the rows, which are psycopg's tuples if nothing else is said."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

# As psycopg does.
if sys.version_info >= (3, 13):
    from typing import TypeVar
else:
    from typing_extensions import TypeVar

if TYPE_CHECKING:
    from psycopg.rows import TupleRow

__all__ = ["Other", "Row", "TypeVar"]

#: What a row factory makes of a row …
Row = TypeVar("Row", default="TupleRow")
#: … and what another one does, which is always given.
Other = TypeVar("Other")
