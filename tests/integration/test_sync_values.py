"""Every value arrives as the text that the source itself gives, or stands in quarantine with that text (V1, V2, V4)."""

import json

import pytest

from tests.conftest import Project

# type -> values (SQL); every one must arrive as it is.
EXACT = {
    "int2": ["-32768", "32767"],
    "int4": ["-2147483648", "2147483647"],
    "int8": ["-9223372036854775808", "9223372036854775807", "9007199254740993"],
    "numeric": ["'NaN'", "'Infinity'", "1.50", "repeat('9', 100)::numeric", "('0.' || repeat('1', 100))::numeric", "-0.0"],
    "numeric(10,2)": ["1.5", "-99999999.99", "0"],
    "numeric(38,0)": ["repeat('9', 38)::numeric", "-1"],
    "numeric(38,10)": ["1.0000000001"],
    "numeric(50,20)": ["123456789012345678901234567890.12345678901234567890"],
    "numeric(5,-2)": ["12345"],
    "float4": ["'NaN'", "'Infinity'", "'-Infinity'", "0.1", "1e-40", "'-0'", "16777217"],
    "float8": ["'NaN'", "'Infinity'", "'-Infinity'", "0.1", "1e300", "5e-324", "'-0'", "12345678.9"],
    "bool": ["true", "false"],
    "text": ["''", "'é日本🎉'", "E'tab\\t newline\\n quote\\' backslash\\\\'"],
    "varchar(5)": ["'ab'", "'  '"],
    "char(5)": ["'ab'", "''"],
    "name": ["'x'"],
    "bytea": ["'\\x00ff5c'", "''"],
    "date": ["'2026-02-28'", "'0044-03-15 BC'", "'20000-01-01'", "'4713-01-01 BC'"],
    "time": ["'23:59:59.999999'", "'00:00'", "'12:00:00.5'", "'24:00:00'"],
    "timetz": ["'12:00:00.5+05:45'"],
    "timestamp": ["'2026-03-08 02:30:00.000001'", "'0044-03-15 12:00 BC'", "'20000-01-01'", "'294246-12-31 23:59:59.999999'"],
    "timestamptz": ["'2026-03-08 02:30:00.000001+00'", "'0044-03-15 12:00+00 BC'", "'20000-01-01+00'", "'1969-12-31 23:59:59.5+00'"],
    "interval": ["'1 year 2 months 3 days 04:05:06.7'", "'-178000000 years'", "'0'"],
    "uuid": ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"],
    "json": ['\'{"a": 1, "a": 1e400}\''],
    "jsonb": ["'9223372036854775808'", "'1e400'", "'{\"a\": [null, 1.50]}'"],
    "int[]": ["'{1,NULL,3}'", "'{{1,2},{3,4}}'", "'{}'"],
    "text[]": ["array['a,b', null, '\"']"],
    "money": ["12.34"],
    "inet": ["'10.0.0.1/24'", "'::1'"],
    "cidr": ["'10.0.0.0/8'"],
    "macaddr": ["'08:00:2b:01:02:03'"],
    "bit(3)": ["B'101'"],
    "varbit": ["B'10101'"],
    "point": ["'(1.5,2)'"],
    "tsvector": ["'a:1 b:2'"],
    "int4range": ["'[1,5)'"],
    "oid": ["4294967295"],
    '"char"': ["'a'"],
    "mood": ["'sad'", "'very happy'"],
    "price": ["1.25"],
    "nested_price": ["1.25"],
    "pair": ["row(1, 'x')::pair"],
}
# Values that no landing type can hold step aside with their text.
UNFIT = {
    "date": ["infinity", "-infinity"],
    "timestamp": ["infinity", "-infinity", "294276-12-31 23:59:59"],
    "timestamptz": ["infinity", "294276-12-31 23:59:59+00"],
    "numeric(10,2)": ["NaN"],
    "price": ["NaN"],
}
TYPES = (
    "create type mood as enum ('sad', 'very happy')",
    "create domain price as numeric(10,2)",
    "create domain nested_price as price check (value > 0)",
    "create type pair as (a int, b text)",
)


# A value of each type that keys have.
KEY_VALUES = {
    "timestamptz": "2026-01-01 12:00:00.5+00",
    "timestamp": "2026-01-01",
    "bytea": r"\x00ff",
    "numeric(12,3)": "1.500",
    "time": "12:00:00.25",
    "date": "0044-03-15 BC",
    "bool": "true",
    "uuid": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "text": 'é"\\',
}


def test_every_type_arrives_as_the_text_of_the_source(project: Project) -> None:
    columns = ", ".join(f"c{n} {kind}" for n, kind in enumerate(EXACT))
    project.run(*TYPES, f"create table t (id int primary key, {columns}, doubled int generated always as (id * 2) stored)")
    project.run("insert into t (id) values (0)")
    for n, (kind, values) in enumerate(EXACT.items()):
        for position, value in enumerate(values):
            project.run(f"insert into t (id, c{n}) values ({n * 100 + position + 1}, ({value})::{kind})")
    project.declare("t", "snapshot", key=["id"])
    project.commit("t")
    assert project.quarantine("t") == []
    assert project.sync("t").outcome == "unchanged"


def test_values_that_no_type_can_hold_step_aside_with_their_text_and_come_back_when_mended(project: Project) -> None:
    columns = ", ".join(f"c{n} {kind}" for n, kind in enumerate(UNFIT))
    project.run(*TYPES, f"create table t (id int primary key, {columns})", "insert into t (id) select generate_series(1000, 1300)")
    texts, number = {}, 0
    for n, (kind, values) in enumerate(UNFIT.items()):
        for value in values:
            number += 1
            texts[str(number)] = (f"c{n}", value)
            project.run(f"insert into t (id, c{n}) values ({number}, '{value}'::{kind})")
    project.declare("t", "snapshot", key=["id"], max_quarantined=0.5)
    (entry,) = project.commit("t").loads
    assert entry.counts.quarantined == len(texts)
    for row in project.quarantine("t"):
        (key,) = json.loads(row["key"])
        column, text = texts[key]
        assert json.loads(row["original"])[column] == text
        assert row["column"] == column
    project.run("update t set c0 = null, c1 = null, c2 = null, c3 = null, c4 = null where id < 1000")
    project.commit("t")
    assert project.quarantine("t") == []


def test_quarantine_opens_and_closes_for_keys_of_every_type(project: Project) -> None:
    types = KEY_VALUES
    columns = ", ".join(f"k{n} {kind}" for n, kind in enumerate(types))
    key = [f"k{n}" for n in range(len(types))]
    project.run(f"create table t ({columns}, d date, at timestamptz default now(), primary key ({', '.join(key)}))")
    values = ", ".join("$$" + value + "$$" for value in types.values())
    project.run(f"insert into t values ({values}, 'infinity')")
    project.declare("t", "incremental", key=[name for name in key if name != "k5"] + ["k5"], cursor="at")
    assert project.sync("t").outcome == "committed"
    (row,) = project.quarantine("t")
    project.run("update t set d = null, at = now()")
    project.sync("t")
    assert project.quarantine("t") == [], row


def test_a_quarantined_row_beyond_the_calendar_of_python_does_not_stop_its_table(project: Project) -> None:
    project.run(
        "create table t (id int primary key, a timestamptz, b date, c date)",
        "insert into t values (1, '20000-01-01+00', '30000-01-01', 'infinity')",
    )
    project.declare("t", "snapshot", key=["id"])
    project.sync("t")
    (row,) = project.quarantine("t")
    assert "20000-01-01" in row["original"]
    assert "30000-01-01" in row["original"]


@pytest.mark.parametrize("rows", [1, 20])
def test_wide_rows_are_cut_by_the_byte_budget_and_neither_lost_nor_doubled(project: Project, rows: int) -> None:
    project.environment |= {"DAYBREAK_CHUNK_BYTES": "100000", "DAYBREAK_CHUNK_ROWS": "100000"}
    width = 12_000_000 // rows
    project.run(
        "create table t (id int primary key, body text)",
        f"insert into t select i, repeat(md5(i::text), {width // 32}) from generate_series(1, {rows}) i",
        "insert into t select i, 'small' from generate_series(100, 30000) i",
    )
    project.declare("t", "snapshot", key=["id"])
    (entry,) = project.sync("t").loads
    assert entry.chunks > 1
    assert project.ask("select count(*), count(distinct id), sum(length(body)) from raw_shop.t") == [
        tuple(project.fetch("select count(*), count(distinct id), sum(length(body)) from t")[0])
    ]


NAMES = ["Name", "select", "a b", "a_b", 'quo"te', "new\nline", "it's", "filename", "per%cent", "ü" * 31, "$1", "a.b"]


def test_quotes_spaces_capitals_and_newlines_in_names_are_kept(project: Project) -> None:
    columns = ", ".join('"' + name.replace('"', '""') + '" text' for name in NAMES)
    table = "Ta \"ble's/1"
    quoted = '"' + table.replace('"', '""') + '"'
    project.run(
        f'create table {quoted} ("Key" int, "K 2" timestamptz, {columns}, "At\'" timestamptz, primary key ("Key", "K 2"))',
    )
    values = ", ".join(f"'v{n} ' || i" for n in range(len(NAMES)))
    at = "'2026-02-01'::timestamptz + i * interval '1 s'"
    project.run(f"insert into {quoted} select i, '2026-01-01', {values}, {at} from generate_series(1, 20) i")
    project.declare(table, "incremental", key=["Key", "K 2"], cursor="At'")
    assert project.sync(table).outcome == "committed"
    project.run(f"""update {quoted} set "Name" = 'changed', "At'" = now() where "Key" < 9""")
    project.sync(table)
    warehouse = sorted(project.warehouse_rows(table), key=str)
    assert warehouse == sorted(project.source_rows(table), key=str)


def test_names_that_the_warehouse_cannot_tell_apart_are_an_error_with_a_remedy(project: Project) -> None:
    from pipelines.errors import PrerequisiteError

    project.run('create table t (id int primary key, "Name" text, name text, _load_id int)')
    project.declare("t", "snapshot", key=["id"])
    with pytest.raises(PrerequisiteError, match="one name to the warehouse") as raised:
        project.sync("t")
    assert len(raised.value.problems) == 2
    assert "mask: drop" in str(raised.value)


def test_masks_leave_no_clear_text_in_the_landing_the_warehouse_or_the_quarantine(project: Project) -> None:
    project.run(
        "create table t (id int primary key, email text, n int, ip inet, raw bytea, d date)",
        "insert into t values (1, 'ann@example.com', 7, '10.1.2.3', '\\xff00', null), (2, 'bob@example.com', null, null, null, 'infinity')",
    )
    project.declare(
        "t",
        "snapshot",
        key=["id"],
        columns={"email": {"mask": "hmac"}, "n": {"mask": "hmac"}, "raw": {"mask": "hmac"}, "ip": {"mask": "drop"}},
    )
    project.sync("t")
    import pyarrow.parquet as pq

    landed = "".join(str(pq.read_table(file).to_pylist()) for file in project.files("t"))
    stored = str(project.ask("select * from raw_shop.t")) + str(project.quarantine("t"))
    for secret in ("example.com", "10.1.2.3"):
        assert secret not in landed + stored
    ((email, number, raw),) = project.ask("select email, n, raw from raw_shop.t where id = 1")
    assert {len(email), len(number), len(raw)} == {64}


def test_a_mask_that_is_added_later_hides_what_was_loaded_before(project: Project) -> None:
    project.run(
        "create table t (id int primary key, email text, n int, at timestamptz default now())",
        "insert into t values (1, 'ann@example.com', 7)",
    )
    project.run("insert into t values (2, 'bob@example.com', 8)")
    project.declare("t", "incremental", key=["id"], cursor="at")
    project.commit("t")
    project.run("delete from t where id = 2", "update t set at = '2026-01-01'")
    project.declare("t", "incremental", key=["id"], cursor="at", columns={"email": {"mask": "hmac"}, "n": {"mask": "hmac"}})
    assert project.sync("t").outcome == "committed"
    rows = project.ask("select id, email, n from raw_shop.t order by id")
    assert [len(value or "") for value in rows[0][1:]] == [64, 64]
    assert rows[1] == (2, None, None)  # deleted in the source: it cannot be masked any more, so it is hidden
    project.declare("t", "incremental", key=["id"], cursor="at", columns={"email": {"mask": "drop"}})
    project.sync("t")
    standing = {name.lower() for (name,) in project.ask("select column_name from information_schema.columns where lower(table_name) = 't'")}
    assert standing == {"id", "n", "at", "_load_id", "_loaded_at"}
    project.declare("t", "incremental", key=["id"], cursor="at")
    project.sync("t")
    assert project.ask("select email, n from raw_shop.t where id = 1") == [("ann@example.com", 7)]
