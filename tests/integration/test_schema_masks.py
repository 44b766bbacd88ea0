"""Masks and migrations: no value lands in clear because its column moved, and what was kept is masked too."""

import pytest

from tests.conftest import Project
from tests.integration.evolving import MODES, MOVED, apply, kept, load, make_table, plan


@pytest.fixture
def table(project: Project) -> Project:
    return make_table(project)


def test_a_mask_reaches_the_older_columns_and_tables_that_were_kept(table: Project) -> None:
    load(table)
    table.run("alter table t drop code", "alter table t add code text default 'secret'")
    table.commit("t")
    table.run("alter table t alter id type uuid using lpad(to_hex(id), 32, '0')::uuid")
    apply(table, str(plan(table).approval))
    assert {"code", "code_before_v2"} <= set(kept(table, "t_before_v3"))
    table.declare("t", "incremental", **MODES["incremental"], columns={"code": {"mask": "hmac"}})
    table.sync("t")
    assert not {"code", "code_before_v2"} & set(kept(table, "t_before_v3"))


MASKED = {"swap": ["alter table t rename name to c", "alter table t rename code to name", "alter table t rename c to code"]}
MASKED |= {"rename and add": ["alter table t rename name to title", "alter table t add name text"]}


@pytest.mark.parametrize("mask", ["hmac", "drop"])
@pytest.mark.parametrize("move", list(MASKED))
def test_a_masked_column_with_another_name_is_held_until_the_masks_are_written_anew(table: Project, move: str, mask: str) -> None:
    load(table, columns={"name": {"mask": mask}})
    table.run(*MASKED[move], f"update t set at = {MOVED} where id = 4")
    held = table.sync("t")
    assert held.outcome == "held"
    assert "the masked column `name` is now called" in (held.held_reason or "")
    assert plan(table).state == "breaking"
    now = "code" if move == "swap" else "title"
    table.declare("t", "incremental", **MODES["incremental"], columns={now: {"mask": mask}})
    assert table.sync("t").outcome == "committed"
    clear = [f"n{i}" for i in range(1, 21)]
    for column in kept(table):
        assert not table.ask(f'select 1 from raw_shop.t where list_contains({clear}, "{column}"::varchar)'), column


def test_a_hashed_column_of_another_type_is_hashed_anew(table: Project) -> None:
    load(table, columns={"qty": {"mask": "hmac"}})
    before = dict(table.ask("select id, qty from raw_shop.t"))
    table.run("alter table t alter qty type numeric(10, 2)", "update t set qty = 7.25 where id = 3")
    assert plan(table).state == "safe"
    table.commit("t")
    after = dict(table.ask("select id, qty from raw_shop.t"))
    assert not set(before.values()) & set(after.values())


def test_a_mask_reaches_what_a_column_was_called_before(table: Project) -> None:
    load(table)
    table.run("alter table t drop code", "alter table t add code text default 'secret'")
    table.commit("t")
    table.run("alter table t rename code to token", "alter table t alter token set default 'hidden'")
    table.commit("t")
    table.declare("t", "incremental", **MODES["incremental"], columns={"token": {"mask": "hmac"}})
    table.sync("t")
    assert not {"code", "code_before_v2"} & set(kept(table)), "nobody knows whether they held the same"
    told = table.ask("select string_agg(changes::varchar || table_schema::varchar) from daybreak.schema_versions")[0][0]
    assert "hidden" not in told
    assert "secret" not in told


def test_a_mask_that_was_edited_elsewhere_does_not_let_a_renamed_column_land_in_clear(table: Project) -> None:
    load(table, columns={"name": {"mask": "hmac"}})
    table.run("alter table t rename name to title", "alter table t add name text")
    table.declare("t", "incremental", **MODES["incremental"], columns={"name": {"mask": "hmac"}, "code": {"mask": "hmac"}})
    assert table.sync("t").outcome == "held"


def test_a_mask_of_a_column_called_as_one_of_the_engines_leaves_that_alone(project: Project) -> None:
    project.run("create table t (id int primary key, _load_id int, name text)", "insert into t values (1, 7, 'n1')")
    masks = {"_load_id": {"mask": "drop"}}
    project.declare("t", "snapshot", key=["id"], columns=masks)
    first = project.sync("t").loads[0]
    assert project.ask("select _load_id from raw_shop.t") == [(first.load_id,)]
    project.declare("t", "snapshot", key=["id"], columns={**masks, "name": {"mask": "hmac"}})
    again = project.sync("t").loads[0]
    assert project.ask("select _load_id, name = 'n1' from raw_shop.t") == [(again.load_id, False)]
