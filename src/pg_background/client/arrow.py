"""Results as Arrow tables and data frames. Imported only when one is wanted."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow
    from psycopg import Column

    from .result import Result

#: By the OID of PostgreSQL's type, how Arrow's is made.
_TYPES: dict[int, Callable[[Any], Any]] = {
    16: lambda pa: pa.bool_(),
    17: lambda pa: pa.binary(),
    20: lambda pa: pa.int64(),
    21: lambda pa: pa.int16(),
    23: lambda pa: pa.int32(),
    26: lambda pa: pa.uint32(),
    700: lambda pa: pa.float32(),
    701: lambda pa: pa.float64(),
    1082: lambda pa: pa.date32(),
    1083: lambda pa: pa.time64("us"),
    1114: lambda pa: pa.timestamp("us"),
    1184: lambda pa: pa.timestamp("us", "UTC"),
}

#: text, varchar, bpchar, name, "char"
_TEXTS = frozenset((25, 1043, 1042, 19, 18))

_NUMERIC = 1700

#: By the OID of an array type, that of its elements.
_ELEMENTS = {
    1000: 16,
    1001: 17,
    1005: 21,
    1007: 23,
    1016: 20,
    1021: 700,
    1022: 701,
    1009: 25,
    1015: 1043,
    1182: 1082,
    1115: 1114,
    1185: 1184,
}

_MOST_DIGITS = 76


def table_of(result: Result[Any]) -> pyarrow.Table:
    """Return the rows as a table; see `Result.to_arrow`."""
    pa = _library("pyarrow", "arrow")
    arrays = [_array(pa, column, result, n) for n, column in enumerate(result.columns)]
    table: pyarrow.Table = pa.Table.from_arrays(arrays, names=[column.name for column in result.columns])
    return table


def polars_of(result: Result[Any]) -> polars.DataFrame:
    """Return a data frame on the table's memory; see `Result.to_polars`."""
    frame: polars.DataFrame = _library("polars", "polars").from_arrow(table_of(result), rechunk=False)
    return frame


def pandas_of(result: Result[Any]) -> pandas.DataFrame:
    """Return a data frame on the table's memory; see `Result.to_pandas`."""
    library = _library("pandas", "pandas")
    frame: pandas.DataFrame = table_of(result).to_pandas(types_mapper=library.ArrowDtype)
    return frame


def _library(name: str, extra: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{name} is not installed: pip install 'pg_background[{extra}]'", name=name
        ) from error


def _array(pa: Any, column: Column, result: Result[Any], index: int) -> Any:
    kind = column.type_code
    if kind == _NUMERIC:
        return _decimals(pa, column, result.column(index))
    if kind in _TYPES:
        return pa.array(result.column(index), _TYPES[kind](pa))
    if kind in _ELEMENTS:
        element = _ELEMENTS[kind]
        values = result.column(index)
        # A column may hold arrays of several dimensions, which no one Arrow type is for.
        if not any(isinstance(item, list) for value in values if value for item in value):
            return pa.array(values, pa.list_(_TYPES.get(element, lambda pa: pa.string())(pa)))
    return pa.array(result.texts(index), pa.string())


def _decimals(pa: Any, column: Column, values: list[Decimal | None]) -> Any:
    """Return decimals of the column's precision, or of what the values need; else strings."""
    precision, scale = column.precision, column.scale
    if any(value is not None and not value.is_finite() for value in values):
        return pa.array([None if value is None else str(value) for value in values], pa.string())
    if precision is None or scale is None:
        parts = [value.as_tuple() for value in values if value is not None]
        scale = max((-int(part.exponent) for part in parts if int(part.exponent) < 0), default=0)
        whole = max((len(part.digits) + int(part.exponent) for part in parts), default=1)
        precision = max(whole, 1) + scale
    if precision > _MOST_DIGITS or not 0 <= scale <= precision:
        return pa.array([None if value is None else str(value) for value in values], pa.string())
    kind = pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)
    return pa.array(values, kind)
