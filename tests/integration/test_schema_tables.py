"""Tables that are renamed, replaced, gone or new, and tables that have to be loaded anew: see docs/schema-evolution.md."""

import pytest

from pipelines.errors import PrerequisiteError, TableMissing
from pipelines.evolution.impact import NO_MODELS
from pipelines.evolution.plan import plan_source
from tests.conftest import TODAY, Project
from tests.integration.evolving import MODES, MOVED, apply, history, kept, load, make_table, plan

pytestmark = pytest.mark.slow


@pytest.fixture
def table(project: Project) -> Project:
    return make_table(project)


@pytest.mark.parametrize("mode", list(MODES))
def test_a_renamed_table_is_followed_by_its_identity(table: Project, mode: str) -> None:
    load(table, mode)
    table.run("alter table t rename to things", f"insert into things (id, at) values (50, {MOVED})")
    assert plan(table).state == "safe"
    assert [change.told for change in plan(table).changes] == ["the table is now called things, was t"]
    assert table.sync("t").outcome == "committed"
    assert table.ask("select count(*) from raw_shop.t") == [(21,)]
    assert "the table is now called things, was t" in history(table)
    table.declare("t", mode, **MODES[mode], relation="things")  # which makes it the catalog's word, and reads nothing again
    assert table.sync("t").outcome == "unchanged"
    table.run("create table t (id int)", f"insert into things (id, at) values (51, {MOVED})")  # of no interest any more
    assert table.sync("t").outcome == "committed"
    assert table.ask("select count(*) from raw_shop.t") == [(22,)]


@pytest.mark.parametrize(("contract", "state"), [("approve", "needs approval"), ("freeze", "breaking")])
def test_a_renamed_table_is_not_followed_where_the_contract_says_so(table: Project, contract: str, state: str) -> None:
    load(table, contract=contract)
    table.run("alter table t rename to things", f"insert into things (id, at) values (50, {MOVED})")
    assert table.sync("t").outcome == "held"
    assert plan(table).state == state
    if contract == "approve":
        apply(table, str(plan(table).approval))
    else:
        table.declare("t", "incremental", **MODES["incremental"], contract=contract, relation="things")
        assert table.sync("t").outcome == "committed"
    assert table.ask("select count(*) from raw_shop.t") == [(21,)]


def test_a_table_that_was_restored_is_read_as_a_whole(table: Project) -> None:
    load(table)
    table.run("create table copied (like t including all)", "insert into copied select * from t", "drop table t")
    table.run("alter table copied rename to t", "update t set qty = qty + 100")  # behind the cursor of the one that was loaded
    assert plan(table).rows_to_read == 20
    table.commit("t")


@pytest.mark.parametrize("mode", ["incremental", "partitioned"])
def test_a_table_that_gives_its_name_to_another_is_not_mixed_with_it(table: Project, mode: str) -> None:
    load(table, mode)
    table.run("alter table t rename to customers_t", "create table t (like customers_t including all)")
    table.run(f"insert into t (id, name, at) values (1, 'of another table', {MOVED})")
    with pytest.raises(PrerequisiteError, match="is called `customers_t` now, and another one is called `t`"):
        table.sync("t")
    assert plan(table).state == "breaking"
    assert table.ask("select count(*) from raw_shop.t where name = 'of another table'") == [(0,)]
    table.declare("t", mode, **MODES[mode], relation="customers_t")
    assert table.sync("t").outcome in ("committed", "unchanged")
    assert table.ask("select count(*) from raw_shop.t where name = 'of another table'") == [(0,)]


def test_a_followed_table_waits_for_a_person_when_its_old_name_is_taken(table: Project) -> None:
    load(table)
    table.run("alter table t rename to customers_t")
    table.sync("t")
    table.run("create table t (like customers_t including all)", f"insert into t (id, name, at) values (1, 'of another table', {MOVED})")
    with pytest.raises(PrerequisiteError, match="is called `customers_t` now, and another one is called `t`"):
        table.sync("t")
    table.declare("t", "incremental", **MODES["incremental"], relation="customers_t")
    table.run(f"insert into customers_t (id, at) values (50, {MOVED})")
    assert table.sync("t").outcome == "committed"
    assert table.ask("select count(*), count(*) filter (name = 'of another table') from raw_shop.t") == [(21, 0)]


def test_a_snapshot_between_two_names_goes_on_with_the_one_that_is_called_so(table: Project) -> None:
    load(table, "snapshot")
    table.run("alter table t rename to t_old")
    table.sync("t")
    table.run("create table t (like t_old including all)", "insert into t select * from t_old where id < 9")
    table.commit("t")


def test_a_snapshot_that_is_made_anew_every_night_is_replaced_by_the_new_one(table: Project) -> None:
    load(table, "snapshot")
    table.run(
        "alter table t rename to t_old", "create table t (like t_old including all)", "insert into t select * from t_old where id < 9"
    )
    table.commit("t")


def test_a_table_that_is_gone_keeps_what_was_loaded_and_says_so(table: Project) -> None:
    load(table)
    table.run("drop table t")
    with pytest.raises(TableMissing, match="there is no table or view"):
        table.sync("t")
    assert plan(table).state == "breaking"
    assert table.ask("select count(*) from raw_shop.t") == [(20,)]


def test_a_new_table_is_named_and_waits_for_its_entry(table: Project) -> None:
    load(table)
    table.run("create table returns (id int primary key)", "create view v as select 1", "create table p (d date) partition by range (d)")
    table.run("create table p1 partition of p for values from ('2026-01-01') to ('2026-02-01')")
    plans = plan_source(table.settings, table.settings.sources()[0], NO_MODELS)
    assert [(one.table, one.state) for one in plans[1:]] == [("shop.p", "not in the catalog"), ("shop.returns", "not in the catalog")]


@pytest.mark.parametrize("mode", list(MODES))
def test_a_key_of_another_kind_starts_the_table_anew_and_keeps_the_old_one(table: Project, mode: str) -> None:
    load(table, mode)
    table.run("alter table t alter id type uuid using lpad(to_hex(id), 32, '0')::uuid")
    assert table.sync("t").outcome == "held"
    (done,) = apply(table, str(plan(table).approval)).results
    assert done.outcome == "committed"
    table.check("t")
    assert kept(table, "t_before_v2")["id"] == "INTEGER"
    assert table.ask("select count(*) from raw_shop.t_before_v2") == [(20,)]
    assert sum(entry.counts.inserted for entry in done.loads) == 20


REKEYED = {
    "another column": ["alter table t drop id", "alter table t add id int generated always as identity primary key"],
    "text of a number": ["alter table t alter id type text using lpad(id::text, 6, '0')"],
}


@pytest.mark.parametrize("change", list(REKEYED))
def test_a_key_that_is_another_waits_and_starts_the_table_anew(table: Project, change: str) -> None:
    load(table)
    table.run(*REKEYED[change])
    assert table.sync("t").outcome == "held"
    apply(table, str(plan(table).approval))
    table.check("t")
    assert table.ask("select count(*) from raw_shop.t_before_v2") == [(20,)]


def test_what_a_table_without_a_key_would_lose_is_kept_beside_it(table: Project) -> None:
    table.declare("t", "snapshot")
    table.commit("t")
    table.run("alter table t drop qty")
    assert plan(table).statements == ['alter table "raw_shop"."t" rename to "t_before_v2"']
    table.commit("t")
    assert table.ask("select count(qty) from raw_shop.t_before_v2") == [(20,)]


@pytest.mark.parametrize("key", [["id"], []])
def test_a_partitioned_table_that_starts_anew_loads_every_day_again(project: Project, key: list[str]) -> None:
    project.run(
        "create table t (id int, qty int, at timestamptz)",
        f"insert into t select i, i, '{TODAY}'::timestamptz - i * interval '1 day' from generate_series(1, 20) i",
    )
    project.environment["DAYBREAK_MAX_WINDOWS_PER_RUN"] = "8"
    project.declare("t", "partitioned", key=key, partition={"column": "at", "start": "2026-02-01", "lookback_days": 1})
    for _ in range(3):
        project.sync("t")
    project.check("t")
    project.run("alter table t drop qty" if not key else "alter table t alter id type text using 'k' || id")
    if key:
        apply(project, str(plan(project).approval))
    for _ in range(3):
        project.sync("t")
    project.check("t")
    assert project.ask("select count(*) from raw_shop.t_before_v2") == [(20,)]
    assert project.ask("select count(*) from raw_shop.t") == [(20,)]


def test_a_table_that_starts_anew_has_what_models_call_its_columns(table: Project) -> None:
    load(table)
    table.run("alter table t rename name to title", "alter table t drop qty")
    table.commit("t")
    table.run("alter table t alter id type text using 'k' || id", "alter table t rename code to sku")
    apply(table, str(plan(table).approval))
    table.check("t")
    assert table.ask("select count(qty), count(*) from raw_shop.t") == [(0, 20)]
    assert table.ask("select former_name, current_name from daybreak.former_names order by all") == [("code", "sku"), ("name", "title")]
