"""The rows of a job, as they came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, overload

import psycopg
from psycopg.adapt import AdaptersMap, Transformer
from psycopg.pq import Format
from psycopg.pq.abc import PGresult

from .encodings import decoded
from .names import unique
from .variables import Row

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

    from .model import Notice


class Result(Sequence[Row], Generic[Row]):
    """The rows of a job's last statement, in memory; of a statement without rows, none.

    A value that Python can't hold, such as the date `infinity`, makes the rows raise psycopg.DataError, each
    time; `texts` has all values as the server wrote them.

    Attributes:
        columns: as in psycopg's `cursor.description`; empty if the statement returns no rows.
        rowcount: rows returned, or else written, as in psycopg.
        statusmessage: the last statement's command tag, such as `INSERT 0 1`.
        notices: what the job said by RAISE NOTICE and the like.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        *,
        columns: Sequence[psycopg.Column] = (),
        rowcount: int = 0,
        statusmessage: str | None = None,
        raw: PGresult | None = None,
        adapters: AdaptersMap | None = None,
        encoding: str = "utf-8",
        notices: Sequence[Notice] = (),
        failure: Exception | None = None,
    ) -> None:
        """
        Args:
            raw: the rows as they came, in this encoding.
            failure: why there are no `rows` made of it.
        """
        self._made = rows
        self._failure = failure
        self._next = 0
        self.columns = tuple(columns)
        self.rowcount = rowcount
        self.statusmessage = statusmessage
        self._raw = raw
        self._adapters = adapters
        self._encoding = encoding
        self.notices = tuple(notices)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._made) if self._failure is None or self._raw is None else self._raw.ntuples

    def __eq__(self, other: object) -> bool:
        """Compare the rows, with another result's or with a list."""
        if isinstance(other, Result):
            return list(self._rows) == list(other._rows)
        return list(self._rows) == other if isinstance(other, list) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        names = ", ".join(column.name for column in self.columns)
        return f"<Result: {self.statusmessage or 'no statement'}{f' ({names})' if names else ''}>"

    def _repr_html_(self) -> str:
        from .notebook import table_of

        return table_of(self)

    def one(self) -> Row:
        """Return the only row.

        Raises:
            ValueError: there is none, or more than one.
        """
        if len(self) != 1:
            raise ValueError(f"the result has {len(self)} rows, not one")
        return self._rows[0]

    def value(self) -> Any:
        """Return the first column of the only row, as it was before a row factory saw it.

        Raises:
            ValueError: there is no such row or column, or more than one row.
        """
        if len(self) != 1:
            raise ValueError(f"the result has {len(self)} rows, not one")
        if not self.columns:
            raise ValueError("the result has no columns")
        return self.column(0)[0]

    def scalar(self) -> Any:
        """Return the first column of the first row, as `value`; None if there is no row.

        Raises:
            ValueError: there is no column.
        """
        if not self.columns:
            raise ValueError("the result has no columns")
        return next(iter(self.column(0, 1)), None)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return a dict for each row, whatever the row factory made of it.

        Of columns with the same name the second one is `name_2`, so that none is lost.
        """
        names = unique([column.name for column in self.columns])
        if not names:
            return [{} for _ in range(len(self))]
        columns = [self.column(n) for n in range(len(names))]
        return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]

    def fetchone(self) -> Row | None:
        """Return the next row, as a cursor does: the first one at first, None after the last."""
        return next(iter(self.fetchmany(1)), None)

    def fetchmany(self, size: int = 1) -> list[Row]:
        """Return the next rows, at most so many."""
        start = self._next
        rows = list(self._rows[start : start + size])
        self._next = start + len(rows)
        return rows

    def fetchall(self) -> list[Row]:
        """Return the rows that `fetchone` and `fetchmany` have left: all, if they were not called."""
        return self.fetchmany(len(self))

    def rewind(self) -> None:
        """Let `fetchone` and its like begin with the first row, as they do after each `Job.result()`."""
        self._next = 0

    def column(self, index: int, most: int | None = None) -> list[Any]:
        """Return the values of a column, counted from 0, whatever the row factory made of the rows.

        Args:
            most: only those of so many rows.

        Raises:
            IndexError: there is no such column.
        """
        kind = self.columns[index].type_code
        load = Transformer(_Adapters(self._adapters)).get_loader(kind, Format.TEXT).load
        return [None if value is None else load(value) for value in self._cells(index, most)]

    def texts(self, index: int, most: int | None = None) -> list[str | None]:
        """Return the values of a column as SQL writes them.

        Args:
            most: only those of so many rows.

        Raises:
            IndexError: there is no such column.
        """
        encoding = self._encoding
        return [None if value is None else decoded(value, encoding) for value in self._cells(index, most)]

    @property
    def _rows(self) -> Sequence[Row]:
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        return self._made

    def _cells(self, index: int, most: int | None) -> list[bytes | None]:
        if index >= len(self.columns):
            raise IndexError(f"the result has {len(self.columns)} columns")
        raw = self._raw
        if raw is None:
            return []
        return [raw.get_value(row, index) for row in range(raw.ntuples)[:most]]

    def to_arrow(self) -> pyarrow.Table:
        """Return an Arrow table; needs the extra `arrow`.

        docs/client.md tells which type becomes what.
        """
        from ._arrow import table_of

        return table_of(self)

    def to_polars(self) -> polars.DataFrame:
        """Return a polars DataFrame, which shares the memory of the Arrow table; needs the extra `polars`."""
        from ._arrow import polars_of

        return polars_of(self)

    def to_pandas(self) -> pandas.DataFrame:
        """Return a pandas DataFrame on the memory of the Arrow table; needs the extra `pandas`."""
        from ._arrow import pandas_of

        return pandas_of(self)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Hand the rows to a library that reads Arrow's C stream, as DuckDB; needs the extra `arrow`."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)


class _Adapters:
    """A psycopg context with adapters only: the connection may be somebody else's by then."""

    connection = None

    def __init__(self, adapters: AdaptersMap | None) -> None:
        self.adapters = adapters or psycopg.adapters
