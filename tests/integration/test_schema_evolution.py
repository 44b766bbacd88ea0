"""Each row of the table in docs/schema-evolution.md: a change of the source's schema, a contract, and what becomes of the data."""

import json

import pytest

from pipelines.errors import ConfigError
from tests.conftest import Project
from tests.integration.evolving import MODES, MOVED, apply, comment_of, history, kept, load, make_table, plan


@pytest.fixture
def table(project: Project) -> Project:
    return make_table(project)


# What may happen by itself under `evolve`: the statements, what is told, and the types that then stand.
LOSSLESS: dict[str, tuple[list[str], list[str], dict[str, str]]] = {
    "add": (["alter table t add note text"], ["add note"], {"note": "VARCHAR"}),
    "add with a default": (["alter table t add note text not null default 'none'"], ["add note"], {"note": "VARCHAR"}),
    "add and fill behind the cursor": (
        ["alter table t add note text", "update t set note = 'of ' || id where id > 5"],
        ["add note"],
        {"note": "VARCHAR"},
    ),
    "drop": (["alter table t drop qty"], ["drop qty"], {"qty": "INTEGER"}),
    "rename": (["alter table t rename name to title"], ["name is now called title"], {"title": "VARCHAR"}),
    "swap of two names": (
        ["alter table t rename name to c", "alter table t rename code to name", "alter table t rename c to code"],
        ["name is now called code", "code is now called name"],
        {"name": "VARCHAR", "code": "VARCHAR"},
    ),
    "rename and a new column of the old name": (
        ["alter table t rename qty to count", "alter table t add qty int default 7"],
        ["qty is now called count", "add qty"],
        {"qty": "INTEGER", "count": "INTEGER"},
    ),
    "drop and add of one name": (
        ["alter table t drop qty", "alter table t add qty bigint default 7"],
        ["add qty", "drop qty"],
        {"qty": "BIGINT", "qty_before_v2": "INTEGER"},
    ),
    "drop and add of one type": (
        ["alter table t drop name", "alter table t add title text default 'y'"],
        ["add title", "drop name"],
        {"title": "VARCHAR", "name": "VARCHAR"},
    ),
    "int to bigint": (["alter table t alter qty type bigint"], ["qty is now bigint, was integer"], {"qty": "BIGINT"}),
    "int to numeric keeps what has a fraction since": (
        ["alter table t alter qty type numeric(14, 3)", "update t set qty = 1.5 where id = 3"],
        ["qty is now numeric(14,3), was integer"],
        {"qty": "DECIMAL(14,3)"},
    ),
    "int to text keeps what has leading zeros since": (
        ["alter table t alter qty type text", "update t set qty = '0042' where id = 3"],
        ["qty is now text, was integer"],
        {"qty": "VARCHAR"},
    ),
    "a type that holds more, with other values": (
        ["alter table t alter qty type bigint using qty::bigint * 1000000000"],
        ["qty is now bigint, was integer"],
        {"qty": "BIGINT"},
    ),
    "a type that lands alike, with other values": (
        ["alter table t alter code type text using upper(code) || '!'"],
        ["code is now text, was character varying(10)"],
        {"code": "VARCHAR"},
    ),
    "numeric with more digits": (
        ["alter table t alter price type numeric(14, 4)"],
        ["price is now numeric(14,4), was numeric(10,2)"],
        {"price": "DECIMAL(14,4)"},
    ),
    "the cursor's or the day's type": (["alter table t alter id type bigint"], ["id is now bigint, was integer"], {"id": "BIGINT"}),
}


@pytest.mark.parametrize("mode", list(MODES))
@pytest.mark.parametrize("change", list(LOSSLESS))
def test_a_lossless_change_is_followed_and_the_table_is_the_sources(table: Project, change: str, mode: str) -> None:
    load(table, mode)
    statements, told, types = LOSSLESS[change]
    table.run(*statements)
    assert [one.told for one in plan(table).changes if one.change] == told
    assert plan(table).state == "safe"
    table.commit("t")
    assert types.items() <= kept(table).items()
    assert history(table)[: len(told)] == told
    table.run(f"insert into t (id, at) values (100, {MOVED})", f"update t set at = {MOVED} where id = 4")
    table.commit("t")
    assert plan(table).state == "nothing to do"


@pytest.mark.parametrize("change", list(LOSSLESS))
def test_under_approve_a_change_waits_with_the_old_meaning_until_a_person_allows_it(table: Project, change: str) -> None:
    load(table, contract="approve")
    before, rows = kept(table), sorted(table.warehouse_rows("t"))
    columns = table.columns("t")
    statements, told, types = LOSSLESS[change]
    table.run(*statements, f"update t set at = {MOVED} where id = 4")
    held = table.sync("t")
    assert held.outcome == "held"
    assert held.held_reason
    assert told[0] in held.held_reason
    assert kept(table) == before
    listed = ", ".join(f'"{column}"::varchar' for column in columns)
    assert len(table.ask(f"select {listed} from raw_shop.t")) == len(rows)
    waiting = plan(table)
    assert waiting.state == "needs approval"
    assert waiting.approval
    (done,) = apply(table, waiting.approval).results
    assert done.outcome == "committed"
    assert types.items() <= kept(table).items()
    table.check("t")
    ((approved_by, changes),) = table.ask("select approved_by, changes from daybreak.approvals")
    assert (approved_by, json.loads(changes)) == ("alice", told)


@pytest.mark.parametrize("change", list(LOSSLESS))
def test_under_freeze_a_change_is_breaking_and_no_person_can_approve_it(table: Project, change: str) -> None:
    load(table, contract="freeze")
    before = kept(table)
    table.run(*LOSSLESS[change][0])
    assert table.sync("t").outcome == "held"
    assert (plan(table).state, plan(table).approval) == ("breaking", None)
    assert [waiting.state for waiting in apply(table).waiting] == ["breaking"]
    with pytest.raises(ConfigError, match="No change waits for the approval `12345678`"):
        apply(table, "12345678")
    assert kept(table) == before
    table.declare("t", "incremental", **MODES["incremental"])  # what the remedy says
    table.commit("t")


LOSSY: dict[str, tuple[str, dict[str, str]]] = {
    "text to int": (
        "alter table t alter name drop default, alter name type int using id * 2",
        {"name": "INTEGER", "name_before_v2": "VARCHAR"},
    ),
    "a narrower type": ("alter table t alter price type numeric(10, 0)", {"price": "DECIMAL(10,0)", "price_before_v2": "DECIMAL(10,2)"}),
    "the cursor": (
        "alter table t alter at type timestamp using at at time zone 'UTC'",
        {"at": "TIMESTAMP", "at_before_v2": "TIMESTAMP WITH TIME ZONE"},
    ),
    "renamed and of another type": ("alter table t rename qty to amount", {"amount": "DOUBLE", "qty": "INTEGER"}),
}


@pytest.mark.parametrize("mode", ["incremental", "snapshot"])
@pytest.mark.parametrize("change", list(LOSSY))
def test_a_lossy_type_waits_and_once_approved_stands_beside_the_old_one(table: Project, change: str, mode: str) -> None:
    load(table, mode)
    before = kept(table)
    statement, types = LOSSY[change]
    table.run(statement, *(["alter table t alter amount type float8"] if "amount" in types else []))
    held = table.sync("t")
    assert (held.outcome, kept(table)) == ("held", before)
    assert "may not hold every value" in (held.held_reason or "")
    approval = plan(table).approval
    assert approval
    assert f"--approve {approval}" in (held.held_reason or "")
    (done,) = apply(table, approval).results
    assert done.outcome == "committed"
    assert types.items() <= kept(table).items()
    table.check("t")
    was = next((name for name in types if name.endswith("_before_v2")), "qty")
    assert table.ask(f"select count(*), count({was}) from raw_shop.t") == [(20, 20)]  # nothing that was loaded is lost
    table.run(f"insert into t (id, at) values (100, {MOVED})")
    table.commit("t")


def test_an_approval_is_of_the_changes_that_were_seen_and_of_no_others(table: Project) -> None:
    load(table, contract="approve")
    table.run("alter table t add a text")
    seen = plan(table).approval
    table.run("alter table t add b text")
    with pytest.raises(ConfigError, match=f"`{seen}`"):
        apply(table, str(seen))
    assert table.sync("t").outcome == "held"
    assert table.ask("select count(*) from daybreak.approvals") == [(0,)]
    assert apply(table, str(plan(table).approval)).waiting == []
    table.check("t")


@pytest.mark.parametrize("contract", ["evolve", "approve", "freeze"])
def test_rules_of_the_source_are_told_and_hold_nothing(table: Project, contract: str) -> None:
    load(table, contract=contract)
    table.run("alter table t alter qty set not null", "alter table t alter name set default 'y'", "comment on column t.qty is 'How many.'")
    assert plan(table).state == "safe"
    assert table.sync("t").outcome in ("committed", "unchanged")
    assert set(history(table)) == {"qty may not be NULL any more", "the default of name is 'y'::text, was 'x'::text"}
    assert comment_of(table, "qty") == "How many."
    table.run(f"insert into t values (50, 'new', 1, 'c', 1, {MOVED})")
    table.commit("t")


def test_a_key_without_its_index_is_read_in_one_transaction_and_stays_the_sources(table: Project) -> None:
    load(table)
    table.run("alter table t drop constraint t_pkey")
    assert "a unique index on the key (id) is gone" in [change.told for change in plan(table).changes]
    table.run(f"insert into t values (50, 'new', 1, 'c', 1, {MOVED})")
    table.commit("t")


def test_a_value_that_an_enum_gets_is_no_change_of_the_schema(table: Project) -> None:
    table.run("create type mood as enum ('good', 'bad')", "alter table t add mood mood default 'good'")
    load(table)
    table.run("alter type mood add value 'odd'")
    table.run(f"update t set mood = 'odd', at = {MOVED} where id = 3")
    assert plan(table).state == "nothing to do"
    table.commit("t")


def test_two_migrations_between_two_syncs_are_one_change(table: Project) -> None:
    load(table)
    table.run("alter table t rename qty to amount", "alter table t add note text default 'a'")
    table.run("alter table t rename amount to quantity", "alter table t alter quantity type bigint", "alter table t drop note")
    table.run("alter table t add note text default 'b'")
    table.commit("t")
    assert history(table) == ["qty is now called quantity", "qty is now bigint, was integer", "add note"]


def test_a_migration_that_was_taken_back_is_none(table: Project) -> None:
    load(table)
    table.run("alter table t rename name to title")
    table.run("alter table t rename title to name")
    assert plan(table).state == "nothing to do"
    assert table.sync("t").outcome == "unchanged"


def test_models_find_what_a_renamed_column_was_called(table: Project) -> None:
    load(table)
    names = "select former_name, current_name from daybreak.former_names order by all"
    table.run("alter table t rename name to title")
    table.commit("t")
    assert table.ask(names) == [("name", "title")]
    table.run("alter table t rename title to label", "alter table t rename code to sku")
    table.commit("t")
    assert table.ask(names) == [("code", "sku"), ("name", "label"), ("title", "label")]
    table.run("alter table t drop label", "alter table t add label int")
    table.commit("t")
    assert ("name", "label_before_v4") in table.ask(names)


@pytest.mark.parametrize("change", ["alter table t alter price type text", "alter table t alter price type numeric(12, 2)"])
def test_a_quarantined_row_stays_there_when_its_column_is_filled_and_is_not_lost(table: Project, change: str) -> None:
    load(table)
    table.run(f"insert into t (id, price, at) values (100, 'NaN', {MOVED})")
    table.commit("t")
    table.run(f"insert into t (id, at) values (101, {MOVED} + interval '1 day')")
    table.commit("t")
    table.run(f"insert into t (id, at) values (102, {MOVED} + interval '2 days')")
    table.commit("t")
    table.run(change)
    table.commit("t")
    assert [row["key"] for row in table.quarantine("t")] == ['["100"]']
    table.run("update t set price = 1 where id = 100")
    table.replay("t")
    assert table.quarantine("t") == []
    table.check("t")


def test_an_approval_is_used_once(table: Project) -> None:
    load(table)
    there, back = "alter table t alter code type int using code::int", "alter table t alter code type varchar(10)"
    table.run(there)
    apply(table, str(plan(table).approval))
    table.run(back)
    table.commit("t")
    table.run(there)
    assert plan(table).state == "needs approval"
    assert table.sync("t").outcome == "held"


def test_kept_names_are_free_ones(table: Project) -> None:
    table.run("alter table t add code_before_v2 text default 'mine'", "alter table t rename name to id_of")
    load(table)
    table.run("alter table t alter code type int using code::int")
    apply(table, str(plan(table).approval))
    table.check("t")
    assert {"code", "code_before_v2", "code_before_v3"} <= set(kept(table))


def test_the_planned_statements_are_those_that_run(table: Project) -> None:
    load(table)
    table.run("alter table t drop qty")
    table.commit("t")
    table.run("alter table t add qty text", "alter table t rename name to title")
    assert plan(table).statements == [
        'alter table "raw_shop"."t" rename column "qty" to "qty_before_v3"',
        'alter table "raw_shop"."t" rename column "name" to "title"',
        'alter table "raw_shop"."t" add column if not exists "qty" varchar',
    ]
    table.commit("t")
    assert {"qty", "qty_before_v3", "title"} <= set(kept(table))


def test_what_was_swapped_may_be_renamed_later_and_is_planned(table: Project) -> None:
    load(table)
    table.run(*LOSSLESS["swap of two names"][0])
    table.commit("t")
    table.run("alter table t rename code to sku")
    table.commit("t")
    table.run("alter table t drop sku", "alter table t add code int default 1")
    assert plan(table).statements == ['alter table "raw_shop"."t" add column if not exists "code" integer']
    table.commit("t")
