"""Both sides of a comparison write one value as one text: PostgreSQL from what it lands, a warehouse from what landed."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.sources import open_source, postgres_parity
from pipelines.sources.postgres import PostgresSource
from pipelines.sync.model import Window
from pipelines.sync.protocols import ReadRequest
from pipelines.sync.shape import Column
from pipelines.sync.spec import TableSpec
from pipelines.warehouses.duckdb_dialect import DuckDBDialect
from pipelines.warehouses.snowflake_dialect import SnowflakeDialect
from pipelines.warehouses.snowflake_limits import find_misfits
from tests.conftest import Project
from tests.snowflake.fixtures import connect

SPEC = TableSpec("shop", "public", "t", "snapshot", ("id",))
Texts = dict[int, str | None]


@dataclass(frozen=True)
class Kind:
    """A type, values of it as PostgreSQL reads them, and a strategy for more."""

    type_: str
    values: tuple[str, ...]
    more: st.SearchStrategy[str]


def integers(bits: int) -> st.SearchStrategy[str]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1).map(str)


def decimals(digits: int, scale: int) -> st.SearchStrategy[str]:
    return st.integers(-(10**digits) + 1, 10**digits - 1).map(lambda number: f"{number}e-{scale}")


def instants(least: str, greatest: str) -> st.SearchStrategy[str]:
    return st.datetimes().map(str) | st.sampled_from([least, greatest])


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
FLOATS = ("0", "-0", "NaN", "Infinity", "-Infinity", "0.1", "1e20", "123456789012345680", "1e-10", "1.5")
TIMES = ("1970-01-01", "1969-12-31 23:59:59.999999", "0044-03-15 10:00:00.000001 BC", "0001-01-01", "12026-03-01 10:00:00.5")
KINDS = {
    "bool": Kind("bool", ("true", "false"), st.booleans().map(str)),
    "int2": Kind("smallint", ("0", "-1"), integers(16)),
    "int4": Kind("int", ("0", "-1"), integers(32)),
    "int8": Kind("bigint", ("0", "-1"), integers(64)),
    "float4": Kind("real", (*FLOATS, "1e-45", "3.4028235e38"), st.floats(width=32).map(repr)),
    "float8": Kind("double precision", (*FLOATS, "5e-324", "1.7976931348623157e308"), st.floats().map(repr)),
    "numeric(10, 2)": Kind("numeric(10, 2)", ("0", "-0.05", "0.5", "12345678.90"), decimals(10, 2)),
    "numeric(3, 3)": Kind("numeric(3, 3)", ("0", "-0.5", "0.5", "0.001"), decimals(3, 3)),
    "numeric(38, 0)": Kind("numeric(38)", ("0", "-1", "9" * 38), decimals(38, 0)),
    "numeric(38, 37)": Kind("numeric(38, 37)", ("0", "-1", "0." + "0" * 36 + "1"), decimals(38, 37)),
    "numeric(2, 3)": Kind("numeric(2, 3)", ("0.012", "-0.099"), decimals(2, 3)),
    "numeric": Kind(
        "numeric", ("0", "1.50", "1.5", "NaN", "Infinity", "1e100"), st.decimals(allow_nan=False, allow_infinity=False).map(str)
    ),
    "text": Kind("text", ("", " ", "~", ",", "a,~", "Zoë", "Zoe\u0308", "😀", "\n", "\\x00", "'"), TEXT),
    "varchar": Kind("varchar(50)", ("", "a "), TEXT.filter(lambda text: len(text) <= 50)),
    "char": Kind("char(5)", ("", "a", "abcde"), st.text("abc", max_size=5)),
    "bytea": Kind("bytea", ("", "\\x00ff", "\\x7e"), st.binary().map(lambda value: "\\x" + value.hex())),
    "date": Kind("date", ("1970-01-01", "0044-03-15 BC", "4713-01-01 BC", "5874897-12-31", "12026-03-01", "infinity"), st.dates().map(str)),
    "timestamp": Kind("timestamp", (*TIMES, "infinity"), instants("4713-01-01 00:00:00 BC", "294246-12-31 23:59:59.999999")),
    "timestamptz": Kind("timestamptz", (*TIMES, "2026-03-29 03:00+02"), instants("4713-01-02 00:00:00+00 BC", "294246-12-31 23:59:59+00")),
    "time": Kind("time", ("00:00", "24:00", "23:59:59.999999"), st.times().map(str)),
    "timetz": Kind("timetz", ("24:00+02", "10:00:00.000001-11:30"), st.times().map(lambda value: f"{value}+01")),
    "interval": Kind("interval", ("1 mon -1 day", "-00:00:00.000001"), integers(20).map(lambda text: f"{text} minutes")),
    "uuid": Kind("uuid", (), st.uuids().map(str)),
    "json": Kind("json", ('{"a": 1,  "a": 1e400}', "null", "[]"), st.integers().map(lambda number: f'{{"n": {number}}}')),
    "jsonb": Kind("jsonb", ('{"b": 1, "a": 9223372036854775808}', '"\\u00e9"'), st.integers().map(lambda number: f'{{"n": {number}}}')),
    "int[]": Kind("int[]", ("{}", "{1,NULL}", "{{1,2},{3,4}}"), st.lists(st.integers(0, 9)).map(lambda one: "{" + str(one)[1:-1] + "}")),
    "text[]": Kind("text[]", ('{"a,b",NULL,"NULL",""}',), st.sampled_from(["{a}", '{"é"}'])),
    "enum": Kind("mood", ("sad", "glad"), st.sampled_from(["sad", "glad"])),
    "domain": Kind("price", ("1.50",), decimals(6, 2)),
    "range": Kind("int4range", ("[1,5)", "empty"), st.integers(1, 9).map(lambda number: f"[0,{number})")),
    "inet": Kind("inet", ("10.0.0.1/8", "::1"), st.ip_addresses().map(str)),
    "bit": Kind("bit(3)", ("101",), st.text("01", min_size=3, max_size=3)),
    "money": Kind("money", ("-1.5",), st.integers(-9999, 9999).map(str)),
}


def duckdb_texts(landed: pa.Table, column: Column) -> Texts:
    with duckdb.connect() as warehouse:
        warehouse.execute("set TimeZone = 'UTC'")
        warehouse.register("landed", landed)
        return dict(warehouse.execute(f"select id, {DuckDBDialect().canonical(column)} from landed").fetchall())


def snowflake_texts(url: str, landed: pa.Table, column: Column) -> Texts:
    to = SnowflakeDialect()
    with connect(url) as connection, TemporaryDirectory() as folder:
        run = connection.cursor().execute
        pq.write_table(landed, Path(folder) / "rows.parquet")
        run(f"create temporary table landed (id number(38, 0), {to.quote(column.name)} {to.type_of(column.arrow_type)})")
        run("create temporary stage landing")
        run(f"put 'file://{folder}/rows.parquet' @landing auto_compress = false overwrite = true")
        run(
            "copy into landed from @landing file_format = (type = parquet binary_as_text = false use_logical_type = true "
            "use_vectorized_scanner = true) match_by_column_name = case_insensitive"
        )
        return {int(number): text for number, text in run(f"select id, {to.canonical(column)} from landed").fetchall()}


class Sides:
    """One table on both sides, in which values of one type stand."""

    def __init__(self, project: Project, snowflake_url: str | None = None) -> None:
        self.snowflake_url = snowflake_url
        self.connection = psycopg.connect(project.url, autocommit=True)
        self.connection.execute("create type mood as enum ('sad', 'glad')")
        self.connection.execute("create domain price as numeric(8, 2)")
        self.url = project.url

    def texts(self, kind: Kind, values: list[str | None]) -> tuple[Texts, Texts]:
        """Return the canonical text of each value on both sides, by position."""
        self.connection.execute("drop table if exists t")
        self.connection.execute(f"create table t (id int primary key, value {kind.type_})")
        with self.connection.cursor() as cursor:
            cursor.executemany(f"insert into t values (%s, %s::text::{kind.type_})", list(enumerate(values)))
        with open_source("shop", self.url) as source:
            assert isinstance(source, PostgresSource)
            with source._connection.transaction() as connection:
                schema, columns = source._describe(connection, SPEC)
                column = next(one for one in columns if one.name == "value")
                rows = connection.rows(f"select id, {postgres_parity.canonical(column)} as text from t")
            landed = source.read_chunk(ReadRequest(SPEC, schema, Window(), "window", None, 10**6, 10**9)).rows
        texts = {row["id"]: row["text"] for row in rows}
        if self.snowflake_url is None:
            return texts, duckdb_texts(landed, schema.column("value"))
        misfits = find_misfits(landed)  # they step aside
        fits = landed.filter(pa.array([place not in misfits for place in range(landed.num_rows)], pa.bool_()))
        found = snowflake_texts(self.snowflake_url, fits, schema.column("value"))
        return {number: texts[number] for number in fits["id"].to_pylist()}, found


@pytest.fixture(params=["duckdb", "snowflake"])
def sides(request: pytest.FixtureRequest, project: Project) -> Iterator[Sides]:
    made = Sides(project, request.getfixturevalue("snowflake_url") if request.param == "snowflake" else None)
    yield made
    made.connection.close()


@pytest.mark.parametrize("name", KINDS)
def test_both_sides_write_one_value_as_one_text(sides: Sides, name: str) -> None:
    kind = KINDS[name]
    source, warehouse = sides.texts(kind, [None, *kind.values])
    assert source == warehouse
    assert source[0] is None


@pytest.mark.parametrize("name", KINDS)
def test_both_sides_agree_on_values_that_nobody_thought_of(sides: Sides, name: str) -> None:
    kind = KINDS[name]

    examples = 2 if sides.snowflake_url else 8

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(kind.more | st.none(), min_size=20, max_size=60))
    def check(values: list[str | None]) -> None:
        source, warehouse = sides.texts(kind, values)
        assert source == warehouse

    check()


@pytest.mark.parametrize(("name", "width"), [("float4", np.float32), ("float8", np.float64)])
def test_every_power_of_two_and_its_neighbours_have_their_bits(sides: Sides, name: str, width: type[np.floating]) -> None:
    about, infinity = np.finfo(width), width("inf")
    powers = np.array([math.ldexp(1, exponent) for exponent in range(about.minexp - about.nmant, about.maxexp)]).astype(width)
    edges = np.array([0, 0.1, 1 / 3, about.max, math.nan, math.inf], width)
    with np.errstate(all="ignore"):
        some = np.concatenate([powers, np.nextafter(powers, width(0)), np.nextafter(powers, infinity), edges])
    values = np.concatenate([some, -some])
    source, warehouse = sides.texts(KINDS[name], [repr(float(value)) for value in values])
    assert source == warehouse
    canonical = np.where(np.isnan(values), width("nan"), np.where(values == 0, width(0), values))  # one zero, one NaN
    bits = canonical.view(f"u{values.itemsize}").tolist()
    assert warehouse == {number: f"{one:0{2 * values.itemsize}x}" for number, one in enumerate(bits)}


def test_different_values_have_different_texts(project: Project) -> None:
    sides = Sides(project)
    for name, kind in KINDS.items():
        source, _ = sides.texts(kind, list(kind.values))
        texts = [text for text in source.values() if text is not None]
        alike = {"float4": 1, "float8": 1}.get(name, 0)  # 0 and -0, which are equal
        assert len(set(texts)) == len(texts) - alike, name
    sides.connection.close()
