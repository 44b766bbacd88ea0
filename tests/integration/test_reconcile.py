"""What is not the same on both sides is named by its key and healed; what is gone is deleted with care."""

import pytest

from tests.conftest import Project
from tests.integration.comparing import by_hand, make_orders, named, reconcile


def test_an_equal_table_is_said_to_be_equal_with_numbers(project: Project) -> None:
    make_orders(project)
    result = reconcile(project)
    assert (result.outcome, result.source_rows, result.warehouse_rows) == ("equal", 30, 30), result
    assert project.ask("select sum(source_rows)::int, count_if(source_digest <> warehouse_digest) from daybreak.parity") == [(30, 0)]


def test_a_row_that_changed_behind_the_cursor_is_named_and_healed(project: Project) -> None:
    make_orders(project)
    project.run("update t set name = 'back-dated' where id = 17")
    assert project.sync("t").outcome == "unchanged"
    found = reconcile(project)
    assert (found.outcome, named(found)) == ("differs", {"17": "different"})
    healed = reconcile(project, is_healing=True)
    assert (healed.outcome, healed.reread) == ("equal", 1)
    project.check("t")
    assert reconcile(project).outcome == "equal"


def test_what_is_gone_is_kept_and_counted_where_deletes_are_ignored(project: Project) -> None:
    make_orders(project)
    project.run("delete from t where id in (3, 4)")
    result = reconcile(project, is_healing=True)
    assert (result.outcome, result.kept, result.deleted, result.source_rows, result.warehouse_rows) == ("equal", 2, 0, 28, 30)


def test_what_is_gone_is_deleted_where_deletes_are_reconciled(project: Project) -> None:
    make_orders(project, deletes="reconcile")
    project.run("delete from t where id in (3, 4)")
    found = reconcile(project)
    assert (found.outcome, named(found)) == ("differs", {"3": "extra", "4": "extra"})
    healed = reconcile(project, is_healing=True)
    assert (healed.outcome, healed.deleted) == ("equal", 2)
    project.check("t")
    assert project.ask("select rows_deleted from daybreak.ledger order by token desc limit 1") == [(2,)]
    assert project.sync("t").outcome in ("unchanged", "committed")
    project.check("t")


def test_a_row_added_behind_the_cursor_is_missing_and_healed(project: Project) -> None:
    make_orders(project)
    project.run("insert into t values (1000, 'late', 1, '2026-02-01'), (-5, 'late', 1, '2026-02-01')")
    assert named(reconcile(project)) == {"1000": "missing", "-5": "missing"}
    assert reconcile(project, is_healing=True).outcome == "equal"
    project.check("t")


def test_what_somebody_did_to_the_warehouse_by_hand_is_found_and_healed(project: Project) -> None:
    make_orders(project, deletes="reconcile")
    by_hand(
        project,
        "update raw_shop.t set n = 99 where id = 1",
        "update raw_shop.t set name = null where id = 2",
        "update raw_shop.t set updated_at = updated_at + interval 1 microsecond where id = 3",
        "delete from raw_shop.t where id = 5",
        "insert into raw_shop.t select 77, name, n, updated_at, _load_id, _loaded_at from raw_shop.t where id = 6",
    )
    found = reconcile(project)
    assert named(found) == {"1": "different", "2": "different", "3": "different", "5": "missing", "77": "extra"}
    healed = reconcile(project, is_healing=True)
    assert (healed.outcome, healed.reread, healed.deleted) == ("equal", 4, 1)
    project.check("t")


def test_a_doubled_row_is_found_and_is_told_when_it_cannot_be_healed(project: Project) -> None:
    make_orders(project)
    by_hand(project, "insert into raw_shop.t select * from raw_shop.t where id = 6", "delete from raw_shop.t where id = 7")
    assert named(reconcile(project)) == {"6": "different", "7": "missing"}
    healed = reconcile(project, is_healing=True)
    assert (healed.outcome, healed.reread, named(healed)) == ("differs", 1, {"6": "different"})
    assert "more than once" in str(healed.reason)


def test_two_columns_that_were_swapped_are_found_in_every_row(project: Project) -> None:
    project.run("create table t (id int primary key, a int, b int, at timestamptz)")
    project.run("insert into t select i, i, -i, '2026-03-01' from generate_series(1, 10) i")
    project.declare("t", "incremental", key=["id"], cursor="at")
    project.commit("t")
    by_hand(project, "update raw_shop.t set a = b, b = a")
    assert reconcile(project).different == 10


def test_microseconds_that_were_cut_are_found(project: Project) -> None:
    project.run("create table t (id int primary key, at timestamptz, clock time)")
    project.run("insert into t values (1, '2026-03-01 10:00:00.123456', '10:00:00.5'), (2, '2026-03-01 10:00', '10:00:00.000001')")
    project.declare("t", "snapshot", key=["id"])
    project.commit("t")
    assert reconcile(project).outcome == "equal"
    by_hand(project, """update raw_shop.t set "at" = date_trunc('millisecond', "at"), clock = time '10:00:00' where id < 3""")
    found = reconcile(project)
    assert (named(found), found.unsettled) == ({"1": "different", "2": "different"}, 2)
    assert reconcile(project, is_healing=True).outcome == "equal"
    project.check("t")


KEYS = {
    "text": ("text", ["'a'", "'Ä'", "'😀'", "''", "'a''b\\c'", "'B'"]),
    "uuid": ("uuid", ["'00000000-0000-0000-0000-00000000000a'", "'ffffffff-0000-0000-0000-000000000000'"]),
    "enum": ("mood", ["'glad'", "'sad'"]),
    "numeric": ("numeric", ["'1.50'", "'-1e30'", "'0'"]),
    "numeric with a scale": ("numeric(12, 3)", ["'1.5'", "'-0.001'"]),
    "smallint": ("smallint", ["'-32768'", "'0'", "'32767'"]),
    "bigint": ("bigint", ["'-9223372036854775808'", "'0'", "'9223372036854775807'"]),
    "date": ("date", ["'0044-03-15 BC'", "'2026-03-01'"]),
    "timestamptz": ("timestamptz", ["'2026-03-01 10:00:00.000001'", "'2026-03-01 10:00:00.000002'"]),
    "bytea": ("bytea", ["'\\x00'", "'\\xff00'"]),
}


@pytest.mark.parametrize("name", KEYS)
def test_keys_of_many_types_are_compared_named_and_healed(project: Project, name: str) -> None:
    type_, keys = KEYS[name]
    project.run("create type mood as enum ('sad', 'glad')")
    project.run(f"create table t (k {type_}, part int, n int, at timestamptz, primary key (k, part))")
    for number, key in enumerate(keys):
        project.run(f"insert into t values ({key}, 1, {number}, '2026-03-01'), ({key}, 2, {number}, '2026-03-01')")
    project.declare("t", "incremental", key=["k", "part"], cursor="at", deletes="reconcile")
    project.commit("t")
    assert reconcile(project).outcome == "equal"
    project.run(f"update t set n = 100 where k = {keys[0]} and part = 2", f"delete from t where k = {keys[-1]} and part = 1")
    found = reconcile(project)
    assert sorted(named(found).values()) == ["different", "extra"], found
    healed = reconcile(project, is_healing=True)
    assert (healed.outcome, healed.reread, healed.deleted) == ("equal", 1, 1)
    project.check("t")


def test_a_mass_delete_is_held_until_a_person_lets_it_go_on(project: Project) -> None:
    make_orders(project, 100, deletes="reconcile", max_deletes=0.05)
    project.run("delete from t where id <= 40")
    held = reconcile(project, is_healing=True)
    assert (held.outcome, held.extra, held.deleted) == ("held", 40, 0)
    assert "max_deletes" in str(held.reason)
    assert project.ask("select count(*) from raw_shop.t") == [(100,)]
    done = reconcile(project, is_healing=True, overruled_by="ada")
    assert (done.outcome, done.deleted, done.overruled_by) == ("equal", 40, "ada")
    assert project.ask("select released_by from daybreak.ledger order by token desc limit 1") == [("ada",)]
    project.check("t")


def test_an_empty_source_deletes_nothing(project: Project) -> None:
    make_orders(project, 5, deletes="reconcile", max_deletes=1.0)
    project.run("truncate t")
    held = reconcile(project, is_healing=True)
    assert (held.outcome, held.deleted) == ("held", 0)
    assert "no row at all" in str(held.reason)
    assert project.ask("select count(*) from raw_shop.t") == [(5,)]


def test_a_source_that_cannot_be_read_deletes_nothing(project: Project) -> None:
    make_orders(project, 5, deletes="reconcile")
    project.run("alter table t rename to gone")
    project.run("create view t as select id, name, n / (id - id)::int as n, updated_at from gone")
    held = reconcile(project, is_healing=True)
    assert (held.outcome, held.deleted) == ("held", 0)
    assert project.ask("select count(*) from raw_shop.t") == [(5,)]
