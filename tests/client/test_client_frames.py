"""Results as Arrow tables and data frames."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

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
    '{"a": 1}'::jsonb AS json, '1 day'::interval AS interval, '{{1,2},{3,4}}'::int4[] AS matrix,
    '12345678-1234-5678-1234-567812345678'::uuid AS uuid, '{ä,b}'::varchar(3)[] AS names,
    '{1,2.5}'::numeric(5, 2)[] AS prices
UNION ALL
SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL::numeric(5, 2), 2.5, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL::numeric(5, 2)[]
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
        "json": pa.json_(),
        "interval": pa.duration("us"),
        "matrix": pa.list_(pa.list_(pa.int32())),
        "uuid": pa.uuid(),
        "names": pa.list_(pa.string()),
        "prices": pa.list_(pa.decimal128(5, 2)),
    }
    first, second = table.to_pylist()
    assert first["timestamptz"] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (first["date"], first["fixed"], first["free"]) == (
        date(2026, 1, 2),
        Decimal("1.10"),
        Decimal("1234567.001"),
    )
    assert (first["list"], first["json"], first["matrix"]) == ([1, None], '{"a": 1}', [[1, 2], [3, 4]])
    assert (first["uuid"], first["interval"]) == (UUID("12345678-1234-5678-1234-567812345678"), timedelta(1))
    assert (first["names"], first["prices"]) == (["ä", "b"], [Decimal("1.00"), Decimal("2.50")])
    assert {value for name, value in second.items() if name != "free"} == {None}


def test_polars_types(client: AnyClient) -> None:
    frame = client.run(EVERY_TYPE).to_polars()
    kinds = dict(frame.schema)
    assert kinds["json"] == kinds["uuid"] == polars.String()
    assert kinds["interval"] == polars.Duration("us")
    assert kinds["matrix"] == polars.List(polars.List(polars.Int32))
    assert kinds["fixed"] == polars.Decimal(5, 2)
    assert frame["uuid"][0] == "12345678-1234-5678-1234-567812345678"
    decoded = frame["json"].str.json_decode(polars.Struct({"a": polars.Int64}))
    assert decoded.to_list() == [{"a": 1}, None]


def test_pandas_types(client: AnyClient) -> None:
    frame = client.run(EVERY_TYPE).to_pandas()
    assert frame["json"].tolist() == [{"a": 1}, None]
    assert frame["uuid"][0] == UUID("12345678-1234-5678-1234-567812345678")
    assert frame["interval"][0] == timedelta(1)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        # No decimal has these, and a float has as many digits.
        ("'NaN'::numeric", pa.float64()),
        ("1.25::numeric(5, 2) / 1 UNION ALL SELECT 'NaN'", pa.float64()),
        ("1e-300::numeric", pa.float64()),
        # A float has not.
        ("12345678901234567890.12 UNION ALL SELECT 'NaN'", pa.string()),
        ("repeat('9', 90)::numeric", pa.string()),
        ("1.5::numeric(50, 2)", pa.decimal256(50, 2)),
        ("ARRAY[1.5, 'NaN']::numeric[]", pa.list_(pa.float64())),
        # Arrays of different dimensions have no type together.
        ("'{1}'::int4[] UNION ALL SELECT '{{1}}'", pa.string()),
        ("'{}'::int4[] UNION ALL SELECT '{{1}}'", pa.list_(pa.list_(pa.int32()))),
        ("'{}'::int4[]", pa.list_(pa.int32())),
        ("'{now,infinity}'::timestamptz[]", pa.string()),
        ("'infinity'::date", pa.string()),
        ("'178000000 years'::interval", pa.string()),
        ("'192.168.0.1'::inet", pa.string()),
        ("ARRAY['12345678-1234-5678-1234-567812345678'::uuid]", pa.list_(pa.string())),
        ("""ARRAY['{"a": 1}'::jsonb]""", pa.list_(pa.string())),
    ],
)
def test_types_by_values(client: AnyClient, value: str, kind: pa.DataType) -> None:
    table = client.run(f"SELECT {value}").to_arrow()
    assert table.schema.types == [kind]


@pytest.mark.pg(">= 15")
def test_scales_outside_of_the_precision(client: AnyClient) -> None:
    table = client.run("SELECT 12345::numeric(3, -2), 0.00012::numeric(2, 5)").to_arrow()
    assert table.schema.types == [pa.decimal128(5, 0), pa.decimal128(5, 5)]
    assert list(table.to_pylist()[0].values()) == [Decimal(12300), Decimal("0.00012")]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("1.5::numeric(50, 2)", polars.Decimal(38, 2)),
        ("ARRAY[1.5::numeric(50, 2)]::numeric(50, 2)[]", polars.List(polars.Decimal(38, 2))),
        ("1e40::numeric(50, 2)", polars.Float64()),
        ("1234567890123456789012345678901234567890::numeric(50, 2)", polars.String()),
    ],
)
def test_numbers_that_polars_has_no_decimal_for(client: AnyClient, value: str, kind: Any) -> None:
    result = client.run(f"SELECT {value} AS a")
    frame = result.to_polars()
    assert frame.schema["a"] == kind
    assert str(frame["a"][0]) in ("1.50", "1e+40", "1234567890123456789012345678901234567890.00") or (
        frame["a"][0].to_list() == [Decimal("1.50")]
    )


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
