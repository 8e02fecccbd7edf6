"""Results as Arrow tables and data frames. Imported only when one is wanted.

Each column gets the type that its PostgreSQL type has there. Where there is none, or it can't hold all values
of the column, it gets strings as SQL writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from importlib import import_module
from json import dumps
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg

from ._decimals import as_float, digits_of
from .names import unique

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

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
    1186: lambda pa: pa.duration("us"),
}

#: text, varchar, bpchar, name, "char"
_TEXTS = frozenset((25, 1043, 1042, 19, 18))
_JSON = frozenset((114, 3802))
_NUMERIC = 1700
_UUID = 2950


class _Library(NamedTuple):
    """What a reader of Arrow's memory can do with it."""

    most_digits: int
    #: whether it knows the types of JSON and UUIDs, as extensions of Arrow
    has_extensions: bool


_ARROW = _Library(76, has_extensions=True)
_POLARS = _Library(38, has_extensions=False)


class _Leaf(NamedTuple):
    """What a column is made of, or its arrays are: a type, and how a value of Python's becomes one."""

    kind: Any
    convert: Callable[[Any], Any] | None = None


def table_of(result: Result[Any], library: _Library = _ARROW) -> pyarrow.Table:
    """Return the rows as a table; see `Result.to_arrow`."""
    pa = _imported("pyarrow", "arrow")
    arrays = [_array(pa, result, n, library) for n in range(len(result.columns))]
    table: pyarrow.Table = pa.Table.from_arrays(
        arrays, names=unique([column.name for column in result.columns])
    )
    return table


def polars_of(result: Result[Any]) -> polars.DataFrame:
    """Return a data frame on the table's memory; see `Result.to_polars`."""
    library = _imported("polars", "polars")
    frame: polars.DataFrame = library.from_arrow(table_of(result, _POLARS), rechunk=False)
    return frame


def pandas_of(result: Result[Any]) -> pandas.DataFrame:
    """Return a data frame on the table's memory, with JSON as Python's values; see `Result.to_pandas`."""
    library = _imported("pandas", "pandas")
    frame: pandas.DataFrame = table_of(result).to_pandas(types_mapper=library.ArrowDtype)
    for n, column in enumerate(result.columns):
        if column.type_code in _JSON:
            frame.isetitem(n, library.Series(result.column(n), dtype=object, index=frame.index))
    return frame


def _imported(name: str, extra: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{name} is not installed: pip install 'pg_background[{extra}]'", name=name
        ) from error


def _array(pa: Any, result: Result[Any], index: int, library: _Library) -> Any:
    kind, is_array = _kind_of(result.columns[index].type_code)
    if not is_array and kind in _JSON and library.has_extensions and hasattr(pa, "json_"):
        return pa.array(result.texts(index), pa.json_())
    if not is_array and (kind in _TEXTS or kind in _JSON):
        return pa.array(result.texts(index), pa.string())
    try:
        values = result.column(index)
        depth = _depth(values) if is_array else 0
        # Arrow's lists of its extensions' types can't be made of values.
        plain = library._replace(has_extensions=False) if is_array else library
        leaf = _leaf(pa, kind, result.columns[index], values, plain)
        if leaf is not None and depth is not None:
            if leaf.convert is not None:
                values = [_converted(value, leaf.convert) for value in values]
            nested = leaf.kind
            for _ in range(depth):
                nested = pa.list_(nested)
            return pa.array(values, nested)
    except (psycopg.DataError, pa.ArrowException, OverflowError, UnicodeDecodeError):
        # One of the values is beyond what Python, or the type, can hold.
        pass
    return pa.array(result.texts(index), pa.string())


def _kind_of(type_code: int) -> tuple[int, bool]:
    """Return a type, or the one that it is the array of, and whether it is one."""
    info = psycopg.adapters.types.get(type_code)
    return (type_code, False) if info is None else (info.oid, info.array_oid == type_code)


def _leaf(pa: Any, kind: int, column: psycopg.Column, values: list[Any], library: _Library) -> _Leaf | None:
    """Return what values of a type become; None if there is nothing but their texts."""
    if kind == _NUMERIC:
        return _decimal(pa, column, list(_leaves(values)), library)
    if kind == _UUID:
        if library.has_extensions and hasattr(pa, "uuid"):
            return _Leaf(pa.uuid(), lambda value: value.bytes)
        return _Leaf(pa.string(), str)
    if kind in _JSON:
        return _Leaf(pa.string(), dumps)
    if kind in _TEXTS:
        return _Leaf(pa.string())
    made = _TYPES.get(kind)
    return None if made is None else _Leaf(made(pa))


def _decimal(pa: Any, column: psycopg.Column, values: list[Decimal], library: _Library) -> _Leaf | None:
    """Return decimals, or floats where a value is no decimal number, or too long, and none loses a digit."""
    if all(value.is_finite() for value in values):
        digits = digits_of(column.precision, column.scale, values, library.most_digits)
        if digits is not None:
            kind = pa.decimal128 if digits.precision <= 38 else pa.decimal256
            return _Leaf(kind(digits.precision, digits.scale))
    if all(as_float(value) is not None for value in values):
        return _Leaf(pa.float64(), as_float)
    return None


def _depth(values: list[Any]) -> int | None:
    """Return how many dimensions all arrays of a column have; None if they differ."""
    depth, level = 1, [item for value in values if value is not None for item in value]
    while any(isinstance(item, list) for item in level):
        if not all(isinstance(item, list) for item in level):
            return None
        depth, level = depth + 1, [item for inner in level for item in inner]
    return depth


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif value is not None:
        yield value


def _converted(value: Any, convert: Callable[[Any], Any]) -> Any:
    if isinstance(value, list):
        return [_converted(item, convert) for item in value]
    return None if value is None else convert(value)
