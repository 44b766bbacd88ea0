"""Migrations in the middle of things: between chunks, between land and load, while columns are filled, and taken back."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import psycopg
import pytest

from pipelines.sync.steps import set_hook
from tests.conftest import TODAY, Project

pytestmark = pytest.mark.slow


class Stop(Exception):
    """The sync ends here, as by a crash."""


@pytest.fixture
def table(project: Project) -> Iterator[Project]:
    """Forty rows that were loaded, in six chunks; twelve of them have changed since."""
    project.run(
        "create table t (id int primary key, name text, qty int, at timestamptz)",
        f"insert into t select i, 'n', i, '{TODAY}'::timestamptz - i * interval '1 hour' from generate_series(1, 40) i",
    )
    project.declare("t", "incremental", key=["id"], cursor="at")
    project.commit("t")
    project.run(f"update t set name = 'new', at = '{TODAY}'::timestamptz + id * interval '1 s' where id <= 12")
    yield project
    set_hook(None)


def at(name: str, occurrence: int, action: Callable[[], None], moment: str = "after") -> None:
    """Do something once, at a boundary of the next sync."""
    seen: list[str] = []

    def hook(step: str, when: str) -> None:
        if (step, when) == (name, moment):
            seen.append(step)
            if len(seen) == occurrence:
                action()

    set_hook(hook)


def stop() -> None:
    raise Stop


def sync_once(table: Project) -> None:
    """One sync to its end, whatever it commits, and P0."""
    table.sync("t")
    set_hook(None)
    table.check("t")


MIGRATIONS = {
    "add": ["alter table t add note text default 'x'"],
    "drop": ["alter table t drop qty"],
    "rename": ["alter table t rename name to title"],
    "widen": ["alter table t alter qty type bigint"],
    "swap": [
        "alter table t rename to t_old",
        "create table t (like t_old including all)",
        "insert into t select * from t_old",
        "drop table t_old",
    ],
}


@pytest.mark.parametrize("migration", list(MIGRATIONS))
@pytest.mark.parametrize(
    ("name", "moment"), [("read.chunk", "after"), ("land.chunk", "before"), ("gate", "before"), ("load.rows", "before")]
)
def test_a_migration_in_the_middle_of_a_sync_leaves_one_state_or_the_other(table: Project, migration: str, name: str, moment: str) -> None:
    at(name, 1, lambda: table.run(*MIGRATIONS[migration]), moment)
    table.sync("t")
    set_hook(None)
    sync_once(table)


def test_a_table_that_is_renamed_between_two_chunks_is_read_on_under_its_new_name(table: Project) -> None:
    at("land.chunk", 1, lambda: table.run("alter table t rename to things"))
    assert table.sync("t").outcome == "committed"
    assert table.ask("select count(*) from raw_shop.t where name = 'new'") == [(12,)]


@pytest.mark.parametrize("migration", ["drop", "rename", "widen"])
def test_a_landed_load_of_the_old_schema_is_read_anew(table: Project, migration: str) -> None:
    at("gate", 1, stop, "before")
    with pytest.raises(Stop):
        table.sync("t")
    set_hook(None)
    table.run(*MIGRATIONS[migration])
    sync_once(table)


def test_a_migration_that_is_rolled_back_was_never_seen(table: Project) -> None:
    def migrate_in_vain() -> None:
        with psycopg.connect(table.url) as connection:
            connection.execute("alter table t add note text default 'x'")
            connection.rollback()

    at("land.chunk", 1, migrate_in_vain)
    sync_once(table)
    assert table.ask("select max(version) from daybreak.schema_versions") == [(1,)]


def in_fill(table: Project, action: Callable[[], None]) -> None:
    """Do something behind the second chunk of the fill that follows the first load of a sync."""

    def hook(step: str, when: str) -> None:
        if (step, when) == ("commit", "after"):
            at("land.chunk", 2, action)

    set_hook(hook)


def test_old_rows_are_read_for_the_new_column_alone_and_each_once(table: Project) -> None:
    table.run("alter table t add note text default 'x'", "update t set note = 'of ' || id where id > 20")
    loads = table.commit("t").loads
    assert [entry.window.get("columns") for entry in loads] == [None, ("note",)]
    assert (loads[1].counts.read, loads[1].counts.updated, loads[1].counts.superseded) == (40, 28, 0)
    assert table.sync("t").outcome == "unchanged"


def test_a_fill_that_dies_goes_on_with_its_landed_chunks(table: Project) -> None:
    table.run("alter table t add note text default 'x'")
    in_fill(table, stop)
    with pytest.raises(Stop):
        table.sync("t")
    set_hook(None)
    assert table.ask("select count(*), count(note) from raw_shop.t") == [(40, 12)]
    read: list[str] = []
    set_hook(lambda step, when: read.append(step) if (step, when) == ("read.chunk", "after") else None)
    table.sync("t")
    set_hook(None)
    table.check("t")
    assert len(read) <= 8, "six chunks of the fill less the two that were landed, and what is read again behind the cursor"


def test_rows_that_change_while_a_column_is_filled_are_of_the_next_load(table: Project) -> None:
    table.run("alter table t add note text default 'x'")
    moved = f"at = '{TODAY}'::timestamptz + interval '1 h'"
    change = [
        f"update t set note = 'later', name = 'later', {moved} where id in (30, 31)",
        f"insert into t values (99, 'n', 1, {moved[5:]}, 'y')",
    ]
    in_fill(table, lambda: table.run(*change, "delete from t where id = 35"))
    table.sync("t")
    set_hook(None)
    half = table.ask("select count(*) from raw_shop.t where (name = 'later') <> (note is not distinct from 'later')")
    assert half == [(0,)], "a row has the new column of one moment and the rest of another"
    table.run("insert into t values (35, 'n', 35, now(), 'back')")
    sync_once(table)


@pytest.mark.parametrize("migration", ["add", "drop", "rename", "widen"])
def test_a_migration_while_a_column_is_filled_is_followed_too(table: Project, migration: str) -> None:
    table.run("alter table t add extra text default 'e'")
    in_fill(table, lambda: table.run(*MIGRATIONS[migration]))
    table.sync("t")
    set_hook(None)
    sync_once(table)
    assert table.ask("select count(extra) from raw_shop.t") == [(40,)]


@pytest.mark.parametrize("end", ["alter table t rename extra to other", "alter table t drop extra"])
def test_a_column_that_is_renamed_or_dropped_before_it_is_filled(table: Project, end: str) -> None:
    table.run("alter table t add extra text default 'e'")
    in_fill(table, stop)
    with suppress(Stop):
        table.sync("t")
    set_hook(None)
    table.run(end)
    sync_once(table)
    assert table.sync("t").outcome == "unchanged"


def test_a_bad_value_in_a_new_column_steps_aside_and_leaves_the_row_as_it_was(table: Project) -> None:
    table.commit("t")
    table.run("alter table t add price numeric(10, 2) default 1", "update t set price = 'NaN' where id = 30")
    table.commit("t")
    assert [(row["key"], row["column"]) for row in table.quarantine("t")] == [('["30"]', "price")]
    assert table.ask("select name, price from raw_shop.t where id = 30") == [("n", None)]
    table.run(f"update t set price = 2, at = '{TODAY}'::timestamptz + interval '2 h' where id = 30")
    table.commit("t")
    assert table.quarantine("t") == []


def test_a_fill_says_nothing_of_a_row_that_is_bad_for_another_column(table: Project) -> None:
    table.run("alter table t add price numeric(10, 2)")
    table.commit("t")
    table.run(f"update t set price = 'NaN', at = '{TODAY}'::timestamptz + interval '2 h' where id = 30")
    table.commit("t")
    table.run("alter table t add note text default 'x'")
    table.commit("t")
    assert [(row["key"], row["column"]) for row in table.quarantine("t")] == [('["30"]', "price")]


def test_only_gates_on_the_new_column_judge_a_fill(table: Project) -> None:
    gate = {"expect_column_values_to_be_in_set": {"column": "note", "value_set": ["x"]}, "on_failure": "quarantine"}
    of_old = {"expect_column_values_to_be_between": {"column": "qty", "min_value": 0}, "on_failure": "hold"}
    size = {"expect_table_row_count_to_be_between": {"min_value": 1, "max_value": 45}, "on_failure": "hold"}
    table.run("alter table t add note text default 'x'", "update t set note = 'bad' where id = 30")
    table.declare("t", "incremental", key=["id"], cursor="at", expectations=[gate, of_old, size])
    table.commit("t")
    assert [row["key"] for row in table.quarantine("t")] == ['["30"]']


def test_a_gate_that_compares_the_new_column_with_another_judges_a_fill_too(table: Project) -> None:
    pair = {"expect_column_pair_values_a_to_be_greater_than_b": {"column_A": "most", "column_B": "qty", "or_equal": True}}
    table.run("alter table t add most int default 20")
    table.declare("t", "incremental", key=["id"], cursor="at", expectations=[{**pair, "on_failure": "quarantine"}], max_quarantined=30)
    table.sync("t")
    assert table.ask("select count(*) from raw_shop.t where most is not null") == [(20,)]


@pytest.mark.parametrize("migration", ["rename", "add", "drop"])
def test_a_run_that_is_overtaken_by_another_one_in_a_migration_plans_anew(table: Project, migration: str) -> None:
    table.run(*MIGRATIONS[migration])

    def overtake() -> None:
        set_hook(None)
        table.sync("t")

    at("claim", 1, overtake, "before")
    table.sync("t")
    at("commit", 1, overtake, "before")
    table.run(f"update t set at = '{TODAY}'::timestamptz + interval '2 h' where id = 3", "alter table t add second text default 'y'")
    sync_once(table)
    assert table.ask("select count(second) from raw_shop.t") == [(40,)]
