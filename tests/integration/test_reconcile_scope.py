"""Which rows are compared at all: what is newer, in quarantine, masked, or of another time is left out on both sides and counted."""

import pytest

from tests.conftest import TODAY, Project
from tests.integration.comparing import by_hand, make_orders, named, reconcile

pytestmark = pytest.mark.slow


def test_rows_in_quarantine_are_left_out_by_key_on_both_sides_and_counted(project: Project) -> None:
    project.run("create table t (id int primary key, day date, at timestamptz)")
    project.run("insert into t select i, '2026-03-01', '2026-03-01'::timestamptz + i * interval '1 s' from generate_series(1, 20) i")
    project.declare("t", "incremental", key=["id"], cursor="at")
    project.commit("t")
    project.run("update t set day = 'infinity', at = '2026-03-02' where id = 7", "insert into t values (21, 'infinity', '2026-03-02')")
    project.commit("t")
    result = reconcile(project)
    assert (result.outcome, result.quarantined, result.source_rows, result.warehouse_rows) == ("equal", 2, 19, 19)


def test_masked_columns_are_left_out_and_named(project: Project) -> None:
    project.run("create table t (id int primary key, email text, ip text, name text, at timestamptz)")
    project.run("insert into t select i, 'a@b', 'ip', 'n', '2026-03-01' from generate_series(1, 5) i")
    project.declare("t", "incremental", key=["id"], cursor="at", columns={"email": {"mask": "hmac"}, "ip": {"mask": "drop"}})
    project.sync("t")
    result = reconcile(project)
    assert (result.outcome, result.left_out) == ("equal", ("email", "ip"))
    project.run("update t set name = 'x' where id = 2")
    assert named(reconcile(project)) == {"2": "different"}


def test_what_is_newer_than_the_last_load_is_left_out(project: Project) -> None:
    make_orders(project)
    project.run("update t set name = 'new', updated_at = '2026-03-05' where id <= 3", "insert into t values (31, 'new', 1, '2026-03-05')")
    result = reconcile(project)
    assert (result.outcome, result.in_flight, result.source_rows, result.warehouse_rows) == ("equal", 4, 27, 27)


def test_a_cursor_that_was_taken_away_from_a_row_is_a_difference(project: Project) -> None:
    make_orders(project)
    project.run("update t set updated_at = null where id = 3")
    found = reconcile(project)
    assert (named(found), found.unsettled) == ({"3": "different"}, 1)
    project.commit("t")
    assert reconcile(project).outcome == "equal"


def test_a_snapshot_is_compared_as_of_two_instants(project: Project) -> None:
    project.run("create table t (id int primary key, n int)", "insert into t select i, i from generate_series(1, 10) i")
    project.declare("t", "snapshot", key=["id"])
    project.commit("t")
    assert reconcile(project).outcome == "equal"
    project.run("update t set n = 0 where id = 1", "delete from t where id = 2", "insert into t values (11, 1)")
    found = reconcile(project)
    assert (named(found), found.unsettled) == ({"1": "different", "2": "extra", "11": "missing"}, 3)
    healed = reconcile(project, is_healing=True)
    assert (healed.outcome, healed.reread, healed.deleted) == ("equal", 2, 1)
    project.check("t")


def test_days_that_changed_behind_the_look_back_are_found_and_healed(project: Project) -> None:
    project.run(
        "create table t (id int primary key, n int, at timestamptz)",
        f"insert into t select i, i, '{TODAY}'::timestamptz - i * interval '3 h' from generate_series(-5, 200) i",
    )
    project.declare("t", "partitioned", key=["id"], partition={"column": "at", "start": "2026-01-01", "lookback_days": 1})
    project.commit("t")
    assert reconcile(project).outcome == "equal"
    old = f"'{TODAY}'::timestamptz - interval '15 days'"
    project.run("update t set n = -1 where id = 150", "delete from t where id = 160", f"insert into t values (900, 1, {old})")
    project.run("update t set at = at - interval '3 days' where id = 140")
    project.sync("t")
    found = reconcile(project, is_full=True)
    assert named(found) == {"150": "different", "160": "extra", "900": "missing", "140": "different"}
    healed = reconcile(project, is_healing=True, is_full=True)
    assert healed.outcome == "equal", healed
    project.check("t")


def test_rows_without_a_key_are_counted(project: Project) -> None:
    project.run("create table t (a int, b text)", "insert into t select i % 3, 'x' from generate_series(1, 10) i")
    project.declare("t", "snapshot")
    project.commit("t")
    assert reconcile(project).outcome == "equal"
    by_hand(project, "insert into raw_shop.t select * from raw_shop.t where a = 1 limit 1", "delete from raw_shop.t where a = 2")
    found = reconcile(project)
    assert (found.outcome, found.missing, found.extra) == ("differs", 3, 1)


def test_a_table_that_was_never_loaded_or_whose_schema_moved_is_held(project: Project) -> None:
    project.run("create table t (id int primary key)")
    project.declare("t", "snapshot", key=["id"])
    assert reconcile(project).outcome == "held"
    project.commit("t")
    project.run("alter table t add column n int default 1")
    held = reconcile(project)
    assert held.outcome == "held"
    assert "changed since the last load" in str(held.reason)


def test_an_empty_table_is_equal_and_its_first_rows_are_newer(project: Project) -> None:
    project.run("create table t (id int primary key, at timestamptz)")
    project.declare("t", "incremental", key=["id"], cursor="at")
    project.sync("t")
    assert (reconcile(project).outcome, reconcile(project).source_rows) == ("equal", 0)
    project.run("insert into t values (1, '2026-03-01')")
    result = reconcile(project)
    assert (result.outcome, result.in_flight) == ("equal", 1)


@pytest.mark.parametrize("cursor", ["int", "date", "timestamp"])
def test_cursors_of_every_type_bound_what_is_compared(project: Project, cursor: str) -> None:
    values = {"int": "i", "date": "date '2026-03-01' + i", "timestamp": "timestamp '2026-03-01' + i * interval '1 s'"}
    project.run(f"create table t (id text primary key, n int, at {cursor})")
    project.run(
        f"insert into t select 'k' || i, i, {values[cursor]} from generate_series(1, 20) i", "insert into t values ('none', 0, null)"
    )
    project.declare("t", "incremental", key=["id"], cursor="at", deletes="reconcile")
    project.commit("t")
    assert (reconcile(project).outcome, reconcile(project).source_rows) == ("equal", 21)
    project.run("update t set n = -1 where id = 'k3'", "delete from t where id in ('k4', 'none')")
    project.run(f"insert into t select 'k' || i, i, {values[cursor]} from generate_series(21, 22) i")
    found = reconcile(project)
    assert (named(found), found.in_flight, found.unsettled) == ({"k3": "different", "k4": "extra", "none": "extra"}, 2, 0)
    assert reconcile(project, is_healing=True).outcome == "equal"


def test_a_view_without_an_index_is_compared_in_one_pass(project: Project) -> None:
    project.run("create table base (id text, n int)", "insert into base select 'k' || i, i from generate_series(1, 20) i")
    project.run("create view t as select * from base")
    project.declare("t", "snapshot", key=["id"])
    project.commit("t")
    assert reconcile(project).outcome == "equal"
    project.run("update base set n = 0 where id = 'k9'")
    assert named(reconcile(project)) == {"k9": "different"}
    assert reconcile(project, is_healing=True).outcome == "equal"


def test_rows_with_a_null_in_the_key_stand_in_quarantine_and_are_left_out(project: Project) -> None:
    project.run("create table t (id int, n int, unique (id))", "insert into t select nullif(i, 7), i from generate_series(1, 20) i")
    project.declare("t", "snapshot", key=["id"])
    project.commit("t")
    result = reconcile(project)
    assert (result.outcome, result.source_rows, result.quarantined) == ("equal", 19, 1)


def test_a_healed_row_that_is_bad_goes_to_quarantine_and_is_no_difference(project: Project) -> None:
    gate = {"expect_column_values_to_be_between": {"column": "n", "min_value": 0}, "on_failure": "quarantine"}
    make_orders(project, expectations=[gate])
    project.run("update t set n = -1 where id = 17")
    healed = reconcile(project, is_healing=True)
    assert healed.outcome == "equal", healed
    again = reconcile(project)
    assert (again.outcome, again.quarantined, again.source_rows) == ("equal", 1, 29)


def test_days_of_another_time_zone_are_the_same_days_on_both_sides(project: Project) -> None:
    project.environment["DAYBREAK_TIME_ZONE"] = "Pacific/Chatham"
    project.run(
        "create table t (id int primary key, at timestamptz)",
        f"insert into t select i, '{TODAY}'::timestamptz - i * interval '47 min' from generate_series(1, 200) i",
        "insert into t values (1000, null)",
    )
    project.declare("t", "partitioned", key=["id"], partition={"column": "at", "start": "2026-01-01"})
    project.commit("t")
    result = reconcile(project)
    assert result.outcome == "equal"
    assert result.source_rows == result.warehouse_rows > 150


def test_the_newest_row_that_is_gone_is_found_though_the_watermark_fell_behind_it(project: Project) -> None:
    make_orders(project, deletes="reconcile")
    project.run("delete from t where id = 30")
    project.sync("t")
    found = reconcile(project)
    assert (named(found), found.source_rows, found.warehouse_rows) == ({"30": "extra"}, 29, 30)
    assert reconcile(project, is_healing=True).outcome == "equal"
    project.check("t")


def test_a_row_that_was_healed_beyond_the_watermark_is_compared_or_newer(project: Project) -> None:
    make_orders(project)
    project.run("update t set name = 'back-dated' where id = 17")
    found = reconcile(project)
    assert named(found) == {"17": "different"}
    project.run("update t set name = 'new', updated_at = '2026-03-05' where id = 17", "update t set n = 0 where id = 18")
    by_hand(project, "update raw_shop.t set updated_at = '2026-03-05' where id = 17")  # as a healing would that read it just now
    found = reconcile(project)
    assert (named(found), found.in_flight, found.source_rows, found.warehouse_rows) == ({"18": "different"}, 1, 29, 29)
