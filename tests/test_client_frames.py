"""Results as Arrow tables and data frames."""

from __future__ import annotations

import sys
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import pandas
import polars
import pyarrow as pa
import pytest
from psycopg.rows import TupleRow, dict_row

from pg_background import Client

AnyClient = Client[TupleRow]

EVERY_TYPE = """
SELECT true AS bool, 1::int2 AS int2, 2 AS int4, 3::int8 AS int8, 1.5::float4 AS float4,
    2.5::float8 AS float8,
    'ä'::text AS text, 'v'::varchar AS varchar, '\\x00ff'::bytea AS bytea, '2026-01-02'::date AS date,
    '2026-01-02 03:04:05'::timestamp AS timestamp, '2026-01-02 03:04:05+00'::timestamptz AS timestamptz,
    1.10::numeric(5, 2) AS fixed, 1234567.001::numeric AS free, '{1,NULL}'::int4[] AS list,
    '{"a": 1}'::jsonb AS json, '1 day'::interval AS interval, '{{1,2},{3,4}}'::int4[] AS matrix
UNION ALL
SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL::numeric(5, 2), 2.5, NULL,
    NULL, NULL, NULL
"""


def test_arrow_types(client: AnyClient) -> None:
    table = client.run(EVERY_TYPE).to_arrow()
    assert {field.name: field.type for field in table.schema} == {
        "bool": pa.bool_(),
        "int2": pa.int16(),
        "int4": pa.int32(),
        "int8": pa.int64(),
        "float4": pa.float32(),
        "float8": pa.float64(),
        "text": pa.string(),
        "varchar": pa.string(),
        "bytea": pa.binary(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us"),
        "timestamptz": pa.timestamp("us", "UTC"),
        "fixed": pa.decimal128(5, 2),
        "free": pa.decimal128(10, 3),
        "list": pa.list_(pa.int32()),
        "json": pa.string(),
        "interval": pa.string(),
        "matrix": pa.string(),
    }
    first, second = table.to_pylist()
    assert first["timestamptz"] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    assert (first["date"], first["fixed"], first["free"]) == (
        date(2026, 1, 2),
        Decimal("1.10"),
        Decimal("1234567.001"),
    )
    assert (first["list"], first["json"], first["matrix"]) == ([1, None], '{"a": 1}', "{{1,2},{3,4}}")
    assert {value for name, value in second.items() if name != "free"} == {None}


def test_numbers_that_arrow_has_no_decimal_for(client: AnyClient) -> None:
    table = client.run(
        "SELECT 'NaN'::numeric AS a, repeat('9', 90)::numeric AS b, 10 ^ 40::numeric AS c"
    ).to_arrow()
    assert table.schema.types[:2] == [pa.string(), pa.string()]
    assert table.to_pylist()[0]["a"] == "NaN"


def test_without_rows(client: AnyClient) -> None:
    table = client.run("SELECT 1 AS a, 'x'::text AS b, 1.5 AS c WHERE false").to_arrow()
    assert (table.num_rows, table.schema.names) == (0, ["a", "b", "c"])
    assert table.schema.types[:2] == [pa.int32(), pa.string()]
    assert client.run("CREATE TABLE t ()").to_arrow().num_columns == 0


def test_a_row_factory_makes_no_difference(client: AnyClient) -> None:
    job = client.launch("SELECT 1 AS a, 2 AS b", row_factory=dict_row)
    assert job.to_arrow().to_pylist() == [{"a": 1, "b": 2}]
    assert job.result() == [{"a": 1, "b": 2}]


def test_frames_share_the_memory_of_the_table(client: AnyClient) -> None:
    job = client.launch("SELECT n::int8, n * 0.5::float8 AS half FROM generate_series(1, 1000) AS n")
    result = job.result()
    frame = job.to_polars()
    assert isinstance(frame, polars.DataFrame)
    assert frame["n"].sum() == 500500
    other = job.to_pandas()
    assert isinstance(other, pandas.DataFrame)
    assert other["half"].sum() == 250250.0
    assert all(isinstance(kind, pandas.ArrowDtype) for kind in other.dtypes)
    assert pa.table(result).num_rows == 1000


def test_a_library_that_is_missing(client: AnyClient, monkeypatch: pytest.MonkeyPatch) -> None:
    result = client.run("SELECT 1")
    missing: Any = None
    monkeypatch.setitem(sys.modules, "polars", missing)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'pg_background\[polars\]'"):
        result.to_polars()
