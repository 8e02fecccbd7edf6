"""The rows of a job, as they came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import psycopg
from psycopg.adapt import AdaptersMap, Transformer
from psycopg.pq import Format
from psycopg.pq.abc import PGresult

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

#: What a row factory makes of a row, and another one.
Row = TypeVar("Row")
Other = TypeVar("Other")


class Result(Sequence[Row], Generic[Row]):
    """The rows of a job's last statement, in memory; of a statement without rows, none.

    Attributes:
        columns: as in psycopg's `cursor.description`; empty if the statement returns no rows.
        rowcount: rows returned, or else written, as in psycopg.
        statusmessage: the last statement's command tag, such as `INSERT 0 1`.
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
    ) -> None:
        self._rows = rows
        self.columns = tuple(columns)
        self.rowcount = rowcount
        self.statusmessage = statusmessage
        self._raw = raw
        self._adapters = adapters
        self._encoding = encoding

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

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
        if len(self._rows) != 1:
            raise ValueError(f"the result has {len(self._rows)} rows, not one")
        return self._rows[0]

    def value(self) -> Any:
        """Return the first column of the only row, as it was before a row factory saw it.

        Raises:
            ValueError: there is no such row or column, or more than one row.
        """
        self.one()
        if not self.columns:
            raise ValueError("the result has no columns")
        return self.column(0)[0]

    def column(self, index: int, most: int | None = None) -> list[Any]:
        """Return the values of a column, counted from 0, whatever the row factory made of the rows.

        Args:
            most: only those of so many rows.

        Raises:
            IndexError: there is no such column.
        """
        loader = Transformer(_Adapters(self._adapters)).get_loader(self.columns[index].type_code, Format.TEXT)
        load = loader.load
        return [None if value is None else load(value) for value in self._cells(index, most)]

    def texts(self, index: int) -> list[str | None]:
        """Return the values of a column as SQL writes them.

        Raises:
            IndexError: there is no such column.
        """
        encoding = self._encoding
        return [None if value is None else value.decode(encoding) for value in self._cells(index, None)]

    def _cells(self, index: int, most: int | None) -> list[bytes | None]:
        if index >= len(self.columns):
            raise IndexError(f"the result has {len(self.columns)} columns")
        raw = self._raw
        if raw is None:
            return []
        return [raw.get_value(row, index) for row in range(raw.ntuples)[:most]]

    def to_arrow(self) -> pyarrow.Table:
        """Return an Arrow table; needs the extra `arrow`.

        Numbers, text, times, bytea and arrays of them get Arrow's types; others are strings as in SQL.
        """
        from .arrow import table_of

        return table_of(self)

    def to_polars(self) -> polars.DataFrame:
        """Return a polars DataFrame, which shares the memory of the Arrow table; needs the extra `polars`."""
        from .arrow import polars_of

        return polars_of(self)

    def to_pandas(self) -> pandas.DataFrame:
        """Return a pandas DataFrame on the memory of the Arrow table; needs the extra `pandas`."""
        from .arrow import pandas_of

        return pandas_of(self)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Hand the rows to a library that reads Arrow's C stream, as DuckDB; needs the extra `arrow`."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)


class _Adapters:
    """A psycopg context with adapters only: the connection may be somebody else's by then."""

    connection = None

    def __init__(self, adapters: AdaptersMap | None) -> None:
        self.adapters = adapters or psycopg.adapters
