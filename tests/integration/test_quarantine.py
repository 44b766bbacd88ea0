"""V1: a bad row steps aside and nothing else; when it is mended it is read again by its key, whatever the mode and the badness."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from pipelines.errors import PrerequisiteError
from tests.conftest import TODAY, Project

MODES: dict[str, dict[str, Any]] = {
    "incremental": {"key": ["id"], "cursor": "at"},
    "snapshot": {"key": ["id"]},
    "partitioned": {"key": ["id"], "partition": {"column": "at", "start": "2026-01-01"}},
}
POSITIVE = {"expect_column_values_to_be_between": {"column": "fee", "min_value": 0}, "on_failure": "quarantine"}
EVEN = {"expect_column_values_to_be_in_set": {"column": "fee", "value_set": [0, 2]}, "on_failure": "quarantine"}


@dataclass(frozen=True)
class Badness:
    """How a row is bad, and the column and reason that are told of it."""

    change: str
    column: str
    reason: str
    original: str


BADNESS = {
    "unfit": Badness("due = 'infinity'", "due", "value does not fit any warehouse type", '"due": "infinity"'),
    "gate": Badness("fee = -5", "fee", "expect_column_values_to_be_between(fee)", '"fee": "-5"'),
}


def make_table(project: Project, mode: str, rows: int = 60) -> None:
    """A table ``t`` of good rows over the last three days; nothing touches its cursor but what names it."""
    project.run(
        "create table t (id int primary key, fee int, due date, at timestamptz)",
        f"insert into t select i, i, '2027-01-01', '{TODAY}'::timestamptz - interval '1 h' - i % 60 * interval '1 h' "
        f"from generate_series(1, {rows}) i",
    )
    project.declare("t", mode, expectations=[POSITIVE], **MODES[mode])


def states(project: Project) -> dict[str, int]:
    return dict(project.ask("select state, count(*) from daybreak.quarantine group by state"))


def reached(project: Project) -> tuple[Any, Any]:
    """How far the table's watermark is."""
    watermark = json.loads(project.ask("select watermark from daybreak.watermarks")[0][0])
    return watermark["value"], watermark["next_lower"]


@pytest.mark.parametrize("kind", list(BADNESS))
@pytest.mark.parametrize("mode", list(MODES))
def test_999_rows_are_loaded_and_one_steps_aside_until_it_is_mended(project: Project, mode: str, kind: str) -> None:
    bad = BADNESS[kind]
    project.environment["DAYBREAK_CHUNK_ROWS"] = "300"
    make_table(project, mode, 1000)
    project.run(f"update t set {bad.change} where id = 500")
    entry = project.commit("t").loads[0]
    assert (entry.counts.read, entry.counts.inserted, entry.counts.quarantined, entry.total_rows) == (1000, 999, 1, 999)
    (row,) = project.quarantine("t")
    assert (row["key"], row["column"], row["reason"]) == ('["500"]', bad.column, bad.reason)
    assert bad.original in row["original"]
    assert project.ask("select load_id from daybreak.quarantine") == [(entry.load_id,)]
    before = reached(project)
    project.run("update t set fee = 1, due = '2027-02-02' where id = 500")  # an application that forgets the cursor
    replayed = project.replay("t")
    assert (replayed.good, replayed.still_bad, replayed.gone) == (1, 0, 0)
    project.check("t")
    assert project.ask("select count(*) from raw_shop.t") == [(1000,)]
    assert states(project) == {"replayed": 1}
    assert reached(project) == before
    loads = project.ask(
        "select rows_read, rows_inserted, rows_updated, rows_quarantined, quarantined_open, data_as_of "
        "from daybreak.ledger order by load_id"
    )
    assert loads[-1][:5] == (1, 1, 0, 0, 0)
    assert loads[-1][5] == entry.data_as_of
    project.sync("t")
    project.check("t")


@pytest.mark.parametrize("mode", list(MODES))
def test_an_older_version_is_stale_until_the_row_is_mended(project: Project, mode: str) -> None:
    make_table(project, mode)
    first = project.commit("t").loads[0]
    project.run(f"update t set fee = -1, at = '{TODAY}'::timestamptz - interval '30 min' where id in (1, 2)")
    project.commit("t")
    assert project.ask("select distinct stale_load_id from daybreak.quarantine") == [(first.load_id,)]
    assert project.ask("select fee from raw_shop.t where id = 1") == [(1,)]
    project.run("update t set fee = 7 where id = 1")
    replayed = project.replay("t")
    assert (replayed.good, replayed.still_bad) == (1, 1)
    project.check("t")
    assert project.ask("select key, state, stale_load_id is null from daybreak.quarantine order by key") == [
        ('["1"]', "replayed", False),
        ('["2"]', "open", False),
    ]
    assert project.ask("select rows_updated, rows_quarantined from daybreak.ledger order by load_id desc limit 1") == [(1, 1)]


@pytest.mark.parametrize("mode", list(MODES))
def test_a_row_that_is_gone_from_the_source_is_closed_and_its_older_version_stays_only_where_deletes_are_not_followed(
    project: Project, mode: str
) -> None:
    make_table(project, mode)
    project.commit("t")
    project.run(f"update t set fee = -1, at = '{TODAY}'::timestamptz - interval '30 min' where id = 1")
    project.commit("t")
    project.run("delete from t where id = 1")
    replayed = project.replay("t")
    assert (replayed.good, replayed.still_bad, replayed.gone) == (0, 0, 1)
    assert states(project) == {"fixed": 1}
    assert project.ask("select count(*) from raw_shop.t where id = 1") == [(int(mode == "incremental"),)]
    assert project.ask("select rows_read, rows_deleted from daybreak.ledger order by load_id desc limit 1") == [
        (0, int(mode != "incremental"))
    ]
    if mode != "incremental":
        project.check("t")


@pytest.mark.parametrize("mode", list(MODES))
def test_a_row_that_is_still_bad_keeps_its_entry_and_one_that_is_bad_otherwise_gets_a_new_one(project: Project, mode: str) -> None:
    make_table(project, mode)
    project.run("update t set fee = -id where id in (1, 2)")
    first = project.commit("t").loads[0]
    seen = project.ask("select key, load_id, quarantined_at from daybreak.quarantine order by key")
    assert project.replay("t").still_bad == 2
    assert project.ask("select key, load_id, quarantined_at from daybreak.quarantine order by key") == seen
    project.run("update t set fee = 3, due = 'infinity' where id = 2")
    assert project.replay("t").still_bad == 2
    found = project.ask("select key, column_name, state, load_id = $$" + first.load_id + "$$ from daybreak.quarantine order by 1, 2, 3, 4")
    assert found == [('["1"]', "fee", "open", True), ('["2"]', "due", "open", False), ('["2"]', "fee", "fixed", True)]
    project.check("t")


@pytest.mark.parametrize("mode", list(MODES))
def test_what_is_replayed_and_then_broken_again_as_before_is_seen_by_the_next_sync(project: Project, mode: str) -> None:
    """The source is again what the last whole read returned, and the table is not. Row 60 has the newest cursor."""
    make_table(project, mode)
    project.run("update t set fee = -1 where id = 60")
    project.commit("t")
    assert project.sync("t").outcome == "unchanged"
    project.run("update t set fee = 1 where id = 60")
    assert project.replay("t").good == 1
    project.run("update t set fee = -1 where id = 60")
    project.commit("t")
    assert [row["key"] for row in project.quarantine("t")] == ['["60"]']


def test_a_gate_that_is_loosened_lets_the_rows_in_by_replay_or_by_the_next_sync_of_a_snapshot(project: Project) -> None:
    for mode in ("snapshot", "incremental"):
        project.run("drop table if exists t")
        make_table(project, mode)
        project.run("update t set fee = -1 where id = 1")
        project.home = project.home.parent / mode
        project.commit("t")
        project.declare("t", mode, **MODES[mode])
        if mode == "snapshot":
            project.commit("t")
        else:
            assert project.replay("t").good == 1
        project.check("t")
        assert project.quarantine("t") == []


def test_a_gate_that_is_tightened_keeps_replayed_rows_out(project: Project) -> None:
    make_table(project, "incremental")
    project.run("update t set fee = -1 where id = 1")
    project.commit("t")
    project.declare("t", "incremental", expectations=[POSITIVE, EVEN], **MODES["incremental"])
    project.run("update t set fee = 1 where id = 1")
    assert project.replay("t").still_bad == 1
    assert [row["reason"] for row in project.quarantine("t")] == ["expect_column_values_to_be_in_set(fee)"]


@pytest.mark.parametrize("change", ["schema", "entry"])
def test_a_changed_schema_or_entry_refuses_a_replay_and_says_what_to_do(project: Project, change: str) -> None:
    make_table(project, "incremental")
    project.run("update t set fee = -1 where id = 1")
    project.commit("t")
    if change == "schema":
        project.run("alter table t add column extra int default 5")
    else:
        project.run("alter table t add column later timestamptz default now()")
        project.sync("t")
        project.declare("t", "incremental", key=["id"], cursor="later", expectations=[POSITIVE])
    with pytest.raises(PrerequisiteError, match=r"changed since the last load(.|\n)*daybreak sync shop t"):
        project.replay("t")
    project.commit("t")
    project.run("update t set fee = 1 where id = 1")
    assert project.replay("t").good == 1
    project.check("t")


@pytest.mark.parametrize("is_one_transaction", [True, False])
def test_rows_of_a_table_without_a_key_are_mended_by_a_sync_of_it(project: Project, is_one_transaction: bool) -> None:
    project.run(
        "create table t (name text, fee int)",
        "insert into t select 'x', 1 from generate_series(1, 20)",
        "insert into t values ('x', -1), ('x', -1)",
    )
    project.declare("t", "snapshot", expectations=[POSITIVE])
    assert project.commit("t").loads[0].counts.quarantined == 2
    project.run(
        "update t set fee = 1 where ctid = (select ctid from t where fee < 0 limit 1)"
        if is_one_transaction
        else "delete from t where fee < 0"
    )
    replayed = project.replay("t")
    left = int(is_one_transaction)
    assert (replayed.good, replayed.still_bad, replayed.unnamed_closed) == (0, left, 2 - left)
    project.check("t")


@pytest.mark.parametrize("mode", list(MODES))
def test_rows_with_null_in_the_key_are_mended_by_a_sync_of_their_table_or_day(project: Project, mode: str) -> None:
    project.run(
        "create table t (id int unique, fee int, at timestamptz)",
        f"insert into t select i, i, '{TODAY}'::timestamptz - i * interval '1 d' from generate_series(1, 20) i",
        f"insert into t values (null, 1, '{TODAY}'::timestamptz - interval '15 d'), (30, -1, '{TODAY}'::timestamptz - interval '9 d')",
    )
    project.declare("t", mode, expectations=[POSITIVE], **MODES[mode])
    project.commit("t")
    assert sorted(row["reason"] for row in project.quarantine("t")) == ["expect_column_values_to_be_between(fee)", "null_key"]
    project.run("update t set id = 50 where id is null", "update t set fee = 3 where id = 30")
    if mode == "incremental":
        project.run("update t set at = at + interval '14 d' where id = 50")  # another key is another row, and its cursor must tell
    replayed = project.replay("t")
    assert (replayed.good, replayed.still_bad, replayed.unnamed_closed) == (1, 0, 1)
    assert project.quarantine("t") == []
    project.check("t")
