"""Every type that a key or a cursor may have keeps every row, over several chunks: the source orders and compares, and only it."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

from pipelines.sync.model import Window
from pipelines.sync.protocols import UNFIT_COLUMN, ReadRequest, Source
from pipelines.sync.spec import TableSpec
from tests.conftest import Project
from tests.contracts.test_source_contract import SOURCES, read_all
from tests.debian_server import open_debian_server

pytestmark = pytest.mark.slow

CHUNK_ROWS = 3


@dataclass(frozen=True)
class KeyType:
    """A type, and at least ten values of it, as SQL, whose order as text is another than their own."""

    type_: str
    values: tuple[str, ...]
    setup: tuple[str, ...] = ()
    is_debians: bool = False  # the embedded server has neither ICU nor extensions


def texts(*values: str) -> tuple[str, ...]:
    return tuple("'" + value.replace("'", "''") + "'" for value in values)


NUMBERS = texts("-100", "-20", "-3", "0", "1", "2", "10", "11", "20", "100", "1000")
WORDS = texts("a", "B", "b", "A b", "ab", "Zoë", "zoe", "Äpfel", "_", "-a", "", " ", "10", "9", "a'\\b")
DAYS = texts("-infinity", "infinity", "0044-03-15 BC", "2026-03-01", "2026-03-02", "2026-12-31", "10000-01-01", "0001-01-01", "1999-01-01")
TIMES = (*DAYS, *texts("2026-03-01 10:00:00.000001", "2026-03-01 10:00:00.000002", "294270-01-01"))
KEYS = {
    "int2": KeyType("smallint", NUMBERS),
    "int4": KeyType("int", NUMBERS),
    "int8": KeyType("bigint", (*NUMBERS, "9223372036854775807", "-9223372036854775808")),
    "numeric": KeyType("numeric", (*NUMBERS, *texts("1e40", "-1e40", "0.5", "1.50", "NaN", "Infinity", "-Infinity"))),
    "numeric with a scale": KeyType("numeric(12, 2)", (*NUMBERS, *texts("0.5", "-0.25", "NaN"))),
    "float4": KeyType("real", (*NUMBERS, *texts("NaN", "Infinity", "-Infinity", "0.1", "1e-10"))),
    "float8": KeyType("double precision", (*NUMBERS, *texts("NaN", "Infinity", "-Infinity", "0.1", "1e-300"))),
    "money": KeyType("money", (*NUMBERS, *texts("0.5", "-1234567.89"))),
    "oid": KeyType("oid", texts("0", "1", "2", "3", "9", "10", "11", "20", "100", "4000000000")),
    "text": KeyType("text", WORDS),
    "text in C": KeyType('text collate "C"', WORDS),
    "text in English": KeyType('text collate "en-x-icu"', WORDS, is_debians=True),
    "text without case": KeyType(
        "text collate caseless",
        texts("a", "B", "C", "dd", "D", "e", "Ä", "10", "9", "_", ""),
        ("create collation caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",),
        is_debians=True,
    ),
    "varchar": KeyType("varchar(20)", WORDS),
    "char": KeyType("char(8)", texts("a", "B", "b", "A b", "ab", "zoe", "_", "-a", "", "10", "9")),
    "one byte": KeyType('"char"', texts("a", "B", "b", "_", "-", "1", "9", "Z", "z", "")),
    "name": KeyType("name", WORDS),
    "citext": KeyType("citext", texts("a", "B", "C", "dd", "D", "e", "Z", "10", "_", ""), ("create extension citext",), is_debians=True),
    "bytea": KeyType("bytea", texts(r"\x", r"\x00", r"\xff", r"\x0102", r"\x5c", r"\x27", r"\x61", r"\x6162", r"\x7f", r"\x80")),
    "uuid": KeyType("uuid", tuple(f"md5('{number}')::uuid" for number in range(12))),
    "bool and number": KeyType("bool", texts("true", "false")),
    "date": KeyType("date", DAYS),
    "time": KeyType("time", texts("00:00", "24:00", "09:00", "10:00", "10:00:00.000001", "23:59:59.999999", "1:00", "2:00", "3:00")),
    "timetz": KeyType("timetz", texts("00:00+00", "24:00-03", "10:00+02", "09:00+01", "10:00-14", "1:00+05:30", "2:00Z", "3:00Z", "4:00Z")),
    "timestamp": KeyType("timestamp", TIMES),
    "timestamptz": KeyType("timestamptz", TIMES),
    "interval": KeyType("interval", texts("1 s", "-1 s", "2 min", "10 days", "9 days", "1 mon -1 d", "1 y", "-3 y", "100 y", "1 h", "0 s")),
    "enum": KeyType(
        "size", texts("small", "medium", "large", "XL", "a", "b", "c", "10", "9", "_"),
        ("create type size as enum ('small', 'medium', 'large', 'XL', 'c', 'b', 'a', '9', '10', '_')",),
    ),
    "domain": KeyType("code", NUMBERS, ("create domain code as numeric check (value < 1e9)",)),
    "domain with a collation": KeyType("word", WORDS, ('create domain word as text collate "C"',)),
    "inet": KeyType("inet", texts("10.0.0.1", "9.0.0.1", "192.168.0.1/24", "192.168.0.1", "::1", "fe80::1", "2.2.2.2", "100.1.1.1")),
    "cidr": KeyType("cidr", texts("10.0.0.0/8", "9.0.0.0/8", "192.168.0.0/24", "192.168.0.0/16", "::/0", "fe80::/10", "100.0.0.0/8")),
    "macaddr": KeyType("macaddr", tuple(f"'08:00:2b:01:02:{number:02x}'" for number in range(10))),
    "bit": KeyType("bit(4)", tuple(f"{number}::bit(4)" for number in range(10))),
    "varbit": KeyType("varbit", tuple(f"B'{number:b}'" for number in range(10))),
    "array": KeyType("int[]", texts("{}", "{1}", "{2}", "{10}", "{1,2}", "{NULL}", "{-1}", "{9}", "{1,NULL}", "{100}")),
    "range": KeyType("int4range", texts("empty", "[1,2)", "[10,20)", "[9,20)", "(,)", "[2,)", "(,5)", "[-3,4)", "[100,200)")),
    "composite": KeyType(
        "pair", (*(f"row({number}, 'a b')::pair" for number in (1, 2, 10, 20, 100, -3, 9)), "row(1, null)::pair", "row(null, '')::pair"),
        ("create type pair as (a int, b text)",),
    ),
    "jsonb": KeyType("jsonb", texts("1", "2", "10", '"a"', "null", "true", "[]", "{}", '{"a": 1}', "[10]", "[9]", "-1")),
    "pg_lsn": KeyType("pg_lsn", texts("0/0", "0/9", "0/10", "A/0", "10/0", "9/0", "1/1", "2/2", "3/3")),
    "tsvector": KeyType("tsvector", texts("a", "b", "a b", "a b c", "aa", "", "z", "9", "10")),
}  # fmt: skip
CURSORS = ("int2", "int4", "int8", "date", "timestamp", "timestamptz")


@pytest.fixture(scope="module")
def debian_url() -> Iterator[str]:
    with open_debian_server() as server:
        yield server.url


@pytest.fixture
def project(request: pytest.FixtureRequest, kind: KeyType, tmp_path: Path) -> Iterator[Project]:
    """A project on a fresh database of a server that has the type."""
    if not kind.is_debians:
        yield Project(request.getfixturevalue("postgres_url"), tmp_path)
        return
    url = request.getfixturevalue("debian_url")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create database keys")
        yield Project(url.replace("/postgres", "/keys"), tmp_path)
        connection.execute("drop database keys with (force)")


@pytest.fixture(params=list(SOURCES))
def source(request: pytest.FixtureRequest, project: Project) -> Iterator[Source]:
    with SOURCES[request.param](project) as opened:
        yield opened


def insert(project: Project, definition: str, kind: KeyType) -> None:
    """Make `t` with every value of a type in the column `v`, in no order."""
    project.run(*kind.setup, f"create table t ({definition})")
    values = random.Random(0).sample(kind.values, len(kind.values))
    for value in values:
        project.run(
            f"insert into t (v) values ({value})" if len(values) > 2 else f"insert into t (v, n) select {value}, generate_series(-5, 5)"
        )


def found(source: Source, request: ReadRequest, column: str = "n") -> list[int]:
    chunks = read_all(source, replace(request, max_rows=CHUNK_ROWS))
    assert max(chunk.rows.num_rows for chunk in chunks) <= CHUNK_ROWS
    return sorted(value for chunk in chunks for value in chunk.rows.column(column).to_pylist())


@pytest.mark.parametrize("kind", KEYS.values(), ids=KEYS.keys())
def test_a_key_of_any_type_has_every_row_once_over_all_chunks(project: Project, source: Source, kind: KeyType) -> None:
    is_small = len(kind.values) == 2
    insert(project, f"v {kind.type_} not null, n int generated by default as identity, primary key ({'v, n' if is_small else 'v'})", kind)
    spec = TableSpec("shop", "public", "t", "snapshot", key=("v", "n") if is_small else ("v",))
    request = ReadRequest(spec, source.describe(spec), Window(), "window", None, CHUNK_ROWS, 10**9)
    every = sorted(int(str(n)) for (n,) in project.fetch("select n from t"))
    assert len(every) >= 2 * CHUNK_ROWS + 1
    assert found(source, request) == every
    assert found(source, replace(request, max_bytes=1)) == every
    # A value that cannot land is told with its text, so that its row steps aside.
    for chunk in read_all(source, request):
        values, unfit = chunk.rows.column("v"), chunk.rows.column(UNFIT_COLUMN)
        assert all(value.is_valid or text.is_valid for value, text in zip(values, unfit, strict=True))


@pytest.mark.parametrize("kind", [KEYS[name] for name in CURSORS], ids=CURSORS)
def test_a_cursor_of_any_type_has_every_row_of_its_window_once(project: Project, source: Source, kind: KeyType) -> None:
    insert(project, f"v {kind.type_}, n int generated by default as identity primary key", kind)
    project.run("insert into t (v) select v from t", "insert into t (v) select v from t", "insert into t (v) select null")
    spec = TableSpec("shop", "public", "t", "incremental", key=("n",), cursor="v")
    schema, top = source.describe(spec), source.observe(spec).max_cursor
    with psycopg.connect(project.url) as connection:
        ordered = connection.execute(
            "select n from t where v::text not in ('infinity', '-infinity') order by v"  # an infinite value has no place in a window
        ).fetchall()
        lowest = connection.execute("select min(v)::text from t where v::text not in ('infinity', '-infinity')").fetchall()[0][0]
    request = ReadRequest(spec, schema, Window("v", lowest, top), "window", None, CHUNK_ROWS, 10**9)
    assert found(source, request) == sorted(n for (n,) in ordered)
    rest = found(source, replace(request, part="null_cursor"))
    assert sorted([*rest, *(n for (n,) in ordered)]) == sorted(int(str(n)) for (n,) in project.fetch("select n from t"))
