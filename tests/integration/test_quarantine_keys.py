"""Rows are asked for by their keys in the source's own text: of every type, of several columns, by the thousand, and while others write."""

import json
from collections.abc import Iterator

import pytest

from pipelines.errors import ConfigError
from pipelines.sync.steps import set_hook
from tests.conftest import TODAY, Project

pytestmark = pytest.mark.slow

POSITIVE = {"expect_column_values_to_be_between": {"column": "fee", "min_value": 0}, "on_failure": "quarantine"}
KEYS = {
    "text": ["it's", 'say "hi"', "back\\slash", "Ünïcödé ☃", "", "  ", "a,b", "new\nline", "$1", '["x"]'],
    "uuid": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    "timestamp": ["2026-01-01 12:00:00.000001", "0044-03-15 00:00:00 BC", "infinity"],
    "timestamptz": ["2026-01-01 12:00:00+05", "infinity"],
    "numeric": ["1.50", "100000000000000000000000000000000000000000.5", "NaN"],
    "numeric(20,10)": ["0.0000000001", "-0.0000000200", "NaN"],
    "bytea": [r"\x00ff5c27", r"\x"],
    "real": ["0.1", "16777216", "1e30"],
    "double precision": ["0.1", "1e300", "-0"],
    "boolean": ["true"],
    "date": ["2026-01-01", "infinity"],
    "time": ["10:00:00.5"],
    "interval": ["1 day 02:03:04"],
    "char(5)": ["ab"],
    "bigint": ["-9223372036854775808"],
}


@pytest.fixture(autouse=True)
def no_hook_stays() -> Iterator[None]:
    yield
    set_hook(None)


@pytest.mark.parametrize("kind", list(KEYS))
def test_a_key_of_any_type_names_its_row(project: Project, kind: str) -> None:
    project.run(f"create table t (id {kind}, part int, fee int, at timestamptz default now(), primary key (id, part))")
    rows = ", ".join(f"($k${value}$k$, {part}, {fee})" for value in KEYS[kind] for part, fee in ((1, 5), (2, -5)))
    project.run(f"insert into t (id, part, fee) values {rows}")
    project.declare("t", "incremental", key=["part", "id"], cursor="at", expectations=[POSITIVE], max_quarantined=100)
    assert project.sync("t").outcome == "committed"
    waiting = len(project.quarantine("t"))
    endless = sum(value in ("infinity", "NaN") and kind != "numeric" for value in KEYS[kind])  # which no warehouse type of a key can hold
    assert waiting == len(KEYS[kind]) + endless
    project.run("update t set fee = 6 where fee < 0")
    replayed = project.replay("t")
    assert (replayed.good, replayed.still_bad, replayed.gone) == (len(KEYS[kind]) - endless, 2 * endless, 0)
    assert len(project.quarantine("t")) == 2 * endless
    assert project.ask("select count(*) from raw_shop.t where fee = 6") == [(len(KEYS[kind]) - endless,)]
    assert {row["reason"] for row in project.quarantine("t")} <= {"value does not fit any warehouse type"}
    project.run("insert into t select id, 3, 1 from t where part = 1 and fee = 5 limit 1")
    project.sync("t")
    assert len(project.quarantine("t")) == 2 * endless + (endless > 0 and len(KEYS[kind]) == endless)
    if not endless and kind not in ("real", "double precision"):  # the source's text of a float is not the warehouse's
        project.check("t")


def test_one_row_is_replayed_by_its_key_and_the_others_wait(project: Project) -> None:
    project.run(
        "create table t (a text, b int, fee int, primary key (a, b))", "insert into t values ('x', 1, -1), ('x', 2, -1), ('y', 1, 1)"
    )
    project.declare("t", "snapshot", key=["a", "b"], expectations=[POSITIVE])
    project.commit("t")
    project.run("update t set fee = 1")
    assert project.replay("t", "x", "2").good == 1
    assert [row["key"] for row in project.quarantine("t")] == ['["x", "1"]']
    with pytest.raises(ConfigError, match=r"\(x, 2\) is in quarantine(.|\n)*for example \(x, 1\)"):
        project.replay("t", "x", "2")
    with pytest.raises(ConfigError, match=r"key \(a, b\), and 1 value came"):
        project.replay("t", "x")


def test_thousands_of_rows_are_asked_for_in_several_loads(project: Project) -> None:
    project.environment["DAYBREAK_CHUNK_ROWS"] = "900"
    project.run(
        "create table t (id int primary key, fee int)",
        "insert into t select i, case when i > 2500 then 1 else -1 end from generate_series(1, 2600) i",
    )
    project.declare("t", "snapshot", key=["id"], expectations=[POSITIVE], max_quarantined=2500)
    assert project.commit("t").loads[0].counts.quarantined == 2500
    project.run("update t set fee = 1 where id % 5 > 0", "delete from t where id = 5")
    replayed = project.replay("t")
    assert (replayed.good, replayed.still_bad, replayed.gone) == (2000, 499, 1)
    assert project.ask("select count(*) from daybreak.ledger where json_exists(window_spec, '/keys')") == [(3,)]
    project.check("t")


def test_a_replay_that_another_sync_overtakes_is_planned_anew(project: Project) -> None:
    project.run("create table t (id int primary key, fee int, at timestamptz default now())", "insert into t values (1, -1), (2, 2)")
    project.declare("t", "incremental", key=["id"], cursor="at", expectations=[POSITIVE])
    project.commit("t")
    project.run("update t set fee = 1 where id = 1")
    overtaken: list[str] = []

    def overtake(step: str, moment: str) -> None:
        if (step, moment) == ("claim", "before") and not overtaken:
            overtaken.append(step)
            project.run("insert into t values (3, 3)")
            project.sync("t")

    set_hook(overtake)
    assert project.replay("t").good == 1
    project.check("t")
    assert project.ask("select count(*) from daybreak.ledger") == [(3,)]


def test_a_schema_that_moves_while_rows_are_read_again_refuses_the_replay(project: Project) -> None:
    project.run("create table t (id int primary key, fee int)", "insert into t values (1, -1), (2, 2)")
    project.declare("t", "snapshot", key=["id"], expectations=[POSITIVE])
    project.commit("t")
    moved: list[str] = []

    def move(step: str, moment: str) -> None:
        if (step, moment) == ("read.chunk", "before") and not moved:
            moved.append(step)
            project.run("alter table t add column extra int")

    set_hook(move)
    with pytest.raises(Exception, match="changed since the last load"):
        project.replay("t")
    project.commit("t")


@pytest.mark.parametrize("is_mended", [True, False])
def test_a_row_that_is_mended_or_breaks_while_its_load_is_read_stands_once_and_right(project: Project, is_mended: bool) -> None:
    """An incremental load meets it in two chunks: where it was, and where its new cursor puts it."""
    hour = f"'{TODAY}'::timestamptz - interval '2 h'"
    project.run(
        "create table t (id int primary key, fee int, at timestamptz)",
        "insert into t values (0, 1, '2026-01-01')",
    )
    project.declare("t", "incremental", key=["id"], cursor="at", expectations=[POSITIVE])
    project.commit("t")
    project.run(
        f"insert into t select i, {-1 if is_mended else 1} * (i = 1)::int, {hour} + i * interval '1 s' from generate_series(1, 30) i"
    )
    project.run(f"insert into t values (99, 1, {hour} + interval '1 h')")
    chunks: list[str] = []

    def write(step: str, moment: str) -> None:
        chunks.extend([step] if (step, moment) == ("land.manifest", "after") else [])
        if (step, moment) == ("land.manifest", "after") and len(chunks) == 1:
            project.run(f"update t set fee = {1 if is_mended else -1}, at = {hour} + interval '30 min' where id = 1")

    set_hook(write)
    (entry,) = project.commit("t").loads
    counts = entry.counts
    if is_mended:
        assert (counts.read, counts.quarantined, counts.superseded) == (33, 0, 1)
        assert project.quarantine("t") == []
    else:
        assert (counts.read, counts.quarantined, counts.superseded) == (33, 1, 0)
        (row,) = project.quarantine("t")
        assert json.loads(row["original"])["fee"] == "-1"
        assert project.ask("select stale_load_id, (select fee from raw_shop.t where id = 1) from daybreak.quarantine") == [
            (entry.load_id, 1)
        ]
    project.run("update t set fee = 2 where id = 1")
    assert project.replay("t").good == int(not is_mended)


def test_days_whose_rows_are_replayed_are_read_again_and_tell_what_is_built_on_them(project: Project) -> None:
    project.run(
        "create table t (id int primary key, fee int, at timestamptz)",
        f"insert into t select i, 1, '{TODAY}'::timestamptz - i * interval '12 h' from generate_series(1, 40) i",
        "update t set fee = -1 where id in (20, 21, 30)",
        "insert into t values (100, -1, null), (101, 1, null)",
    )
    project.declare("t", "partitioned", key=["id"], partition={"column": "at", "start": "2026-01-01"}, expectations=[POSITIVE])
    project.commit("t")
    before = dict(project.ask("select cast(day as varchar), load_id from daybreak.windows"))
    project.run("update t set fee = 1 where id in (20, 100)", "delete from t where id = 30")
    replayed = project.replay("t")
    assert (replayed.good, replayed.still_bad, replayed.gone) == (2, 1, 1)
    after = dict(project.ask("select cast(day as varchar), load_id from daybreak.windows"))
    days = project.fetch("select (at at time zone 'UTC')::date::text from t where id in (20, 100)")
    touched = {day for day in after if after[day] != before[day]}
    assert touched == {*(day for (day,) in days), "2026-02-23"}
    assert project.sync("t").outcome == "committed"
    assert project.ask("select count(*) from daybreak.windows where digest = ''") == [(0,)]
    project.check("t")
    assert project.replay("t").still_bad == 1
    assert project.sync("t").outcome == "unchanged"  # nothing was mended, so nothing is read again


def test_a_stale_mark_goes_when_the_older_version_does(project: Project) -> None:
    """The bad row stands in another day than its older version, whose day is loaded without it."""
    project.run(
        "create table t (id int primary key, fee int, at date)",
        "insert into t select i, 1, '2026-03-01'::date + i % 8 from generate_series(1, 16) i",
    )
    project.declare(
        "t", "partitioned", key=["id"], partition={"column": "at", "start": "2026-01-01", "lookback_days": 2}, expectations=[POSITIVE]
    )
    project.commit("t")
    project.run("update t set fee = -1, at = '2026-03-09' where id = 1")
    project.commit("t")
    assert project.ask("select stale_load_id is null, state from daybreak.quarantine") == [(False, "open")]
    from pipelines.sync.plan import day_range

    project.sync("t", day_range("2026-03-02", "2026-03-02"))
    assert project.ask("select stale_load_id is null, state from daybreak.quarantine") == [(True, "open")]
    project.check("t")
