"""Tables that no example has: empty, without columns, with 1,600, with names that need care, with keys that are none."""

import pytest

from tests.conftest import Project
from tests.integration.command_line import daybreak, synced

pytestmark = pytest.mark.slow

SAFE = "Nothing was written; the last load stands."
MODES = ["snapshot", "incremental", "partitioned"]
# Each is a table and a column of it; the last is of 63 bytes, as long as PostgreSQL's names may be.
NAMES = ['it\'s a "Quote"', "Capital.dot;--", "new\nline\ttab 100% %s", "..", "é" * 28 + "😀x\\/"]


def entry(mode: str, **settings: object) -> dict[str, object]:
    """What a mode needs, for tables with a cursor and a day called ``at``."""
    more = {"incremental": {"cursor": "at"}, "partitioned": {"partition": {"column": "at", "start": "2026-01-01"}}, "snapshot": {}}
    return {"mode": mode, **more[mode], **settings}


@pytest.mark.parametrize("mode", MODES)
def test_an_empty_table_is_a_load_of_nothing_and_then_has_rows(project: Project, mode: str) -> None:
    project.run("create table t (id int primary key, at date)")
    project.declare("t", key=["id"], **entry(mode))  # type: ignore[arg-type]
    assert [row["read"] for row in synced(project)] == [0]
    project.run("insert into t values (1, '2026-03-01')")
    assert [row["inserted"] for row in synced(project)] == [1]
    if mode == "snapshot":
        project.run("truncate t")
        assert [row["deleted"] for row in synced(project)] == [1]


def test_a_table_without_columns_is_told_and_the_others_are_synced(project: Project) -> None:
    project.run("create table nothing ()", "insert into nothing default values", "create table t (id int primary key)")
    project.declare("nothing", "snapshot")
    project.declare("t", "snapshot", key=["id"])
    said = daybreak(project, "sync", "shop")
    assert (said.exit_code, said.tells("the table has no column that could land", "Take the entry `nothing` out", SAFE)) == (2, True)
    project.check("t")
    project.run("alter table nothing add column a int default 1")
    assert [row["inserted"] for row in synced(project, "nothing")] == [1]


def test_a_table_whose_columns_are_all_masked_away_is_told(project: Project) -> None:
    project.run("create table t (a int)", "insert into t values (1)")
    project.declare("t", "snapshot", columns={"a": {"mask": "drop"}})
    said = daybreak(project, "sync", "shop")
    assert (said.exit_code, said.tells("no column that could land", "leave a column without `mask: drop`")) == (2, True)


def test_a_table_with_no_column_of_before_is_followed_and_loses_nothing(project: Project) -> None:
    project.run("create table t (a int, b text)", "insert into t values (1, 'x'), (2, 'y')")
    project.declare("t", "snapshot")
    synced(project)
    project.run("drop table t", "create table t (c date)", "insert into t values ('2026-01-01')")
    synced(project)
    project.declare("t", "snapshot", contract="freeze")
    project.run("drop table t", "create table t (d date)", "insert into t values ('2026-01-02')")
    said = daybreak(project, "sync", "shop")
    assert (said.exit_code, said.tells("contract is `freeze`", SAFE)) == (3, True)
    assert project.ask("select c from raw_shop.t")[0][0].isoformat() == "2026-01-01"


@pytest.mark.parametrize("kind", ["int", "timestamptz"])
def test_a_table_of_1600_columns_is_synced_and_its_unfit_values_step_aside(project: Project, kind: str) -> None:
    """More than PostgreSQL takes as arguments of one call, and than fit into one row with values."""
    project.run(f"create table t (id int primary key, {', '.join(f'c{number} {kind}' for number in range(1599))})")
    project.run("insert into t (id) select generate_series(1, 20)")
    project.declare("t", "snapshot", key=["id"])
    assert [row["inserted"] for row in synced(project)] == [20]
    value = "'infinity'" if kind == "timestamptz" else "7"
    project.run(f"update t set c1598 = {value} where id = 4")
    (row,) = synced(project)
    assert (row["updated"], row["quarantined"]) == ((0, 1) if kind == "timestamptz" else (1, 0))


@pytest.mark.parametrize("mode", MODES)
def test_names_that_need_care_are_names_like_others(project: Project, mode: str) -> None:
    for name in NAMES:
        quoted = '"' + name.replace('"', '""').replace("%", "%%") + '"'
        project.run(f"create table {quoted} ({quoted} int primary key, at date)".replace("%%", "%"))
        project.run(f"insert into {quoted} select i, '2026-03-01' from generate_series(1, 9) i".replace("%%", "%"))
        gate = {"expect_column_values_to_be_between": {"column": name, "min_value": 2}, "on_failure": "quarantine"}
        project.declare(name, key=[name], expectations=[gate], **entry(mode))  # type: ignore[arg-type]
    assert [(row["inserted"], row["quarantined"]) for row in synced(project)] == [(8, 1)] * len(NAMES)
    names = {"Capital.dot;--", ".."}
    for name in names:
        project.run(f"""update "{name}" set at = '2026-03-09' where "{name}" = 5""")
    assert {row["table"].removeprefix("shop.") for row in synced(project) if row["updated"]} == names
    landed = [path for path in (project.home / "landing" / "shop").iterdir() if path.is_dir()]
    assert len(landed) == len(NAMES)
    assert daybreak(project, "status").tells('shop.it\'s a "Quote"', "shop.new\\nline\\ttab 100% %s", "shop...")


def test_a_schema_whose_name_needs_care_is_read(project: Project) -> None:
    schema = 'Ein "Schema"; it\'s 100% ü'
    quoted = '"' + schema.replace('"', '""') + '"'
    project.run(f"create schema {quoted}", f"create table {quoted}.t (id int primary key)", f"insert into {quoted}.t values (1), (2)")
    settings = project.settings
    text = (
        "source: shop\nurl_env: SOURCE_URL\nschema: '" + schema.replace("'", "''") + "'\ntables: [{name: t, mode: snapshot, key: [id]}]\n"
    )
    folder = project.home / "other catalog"
    folder.mkdir()
    (folder / "shop.yaml").write_text(text, encoding="utf-8")
    project.environment["DAYBREAK_CATALOG"] = str(folder)
    assert settings.catalog_folder != folder
    assert daybreak(project, "sync", "shop").exit_code == 0
    assert project.ask("select id from raw_shop.t order by id") == [(1,), (2,)]


def test_two_columns_that_are_one_name_to_the_warehouse_are_told_with_the_remedy(project: Project) -> None:
    project.run('create table t (id int primary key, "Name" text, name text)', "insert into t values (1, 'A', 'b')")
    project.declare("t", "snapshot", key=["id"])
    said = daybreak(project, "sync", "shop")
    assert (said.exit_code, said.tells("the columns `Name` and `name` are one name", "`mask: drop`", "or sync a view", SAFE)) == (2, True)
    project.declare("t", "snapshot", key=["id"], columns={"Name": {"mask": "drop"}})
    synced(project)
    assert project.ask("select name from raw_shop.t") == [("b",)]
    project.run('create view v as select id, "Name" as name_1, name from t')
    project.declare("v", "snapshot", key=["id"])
    synced(project)


def test_two_tables_that_are_one_name_to_the_warehouse_are_told_before_anything_is_read(project: Project) -> None:
    project.run('create table "T" (id int primary key)', "create table t (id int primary key)", "insert into t values (1)")
    project.declare("t", "snapshot", key=["id"])
    project.declare("T", "snapshot", key=["id"])
    said = daybreak(project, "sync", "shop")
    assert (said.exit_code, said.tells("`t` and `T` are one name to the warehouse", "or a view of the source with another name")) == (
        2,
        True,
    )
    assert not (project.home / "warehouse.duckdb").exists()
    project.run('create view other_t as select * from "T"')
    project.tables = project.tables[:1]
    project.declare("other_t", "snapshot", key=["id"])
    assert [row["inserted"] for row in synced(project)] == [1, 0]


def test_a_key_that_is_not_unique_holds_the_load_with_examples_and_an_exit_code(project: Project) -> None:
    project.run("create table t (id int, name text)", "insert into t select i % 20, 'n' from generate_series(1, 23) i")
    project.declare("t", "snapshot", key=["id"])
    said = daybreak(project, "sync", "shop")
    assert (said.exit_code, said.tells("held", "key_is_unique", "repeated keys 3", "for example")) == (3, True)
    assert daybreak(project, "status").tells("shop.t is held", "key_is_unique")
    project.run("delete from t", "insert into t select i, 'n' from generate_series(1, 23) i")
    assert [row["inserted"] for row in synced(project)] == [23]


def test_rows_without_a_whole_key_step_aside_and_come_in_once_they_have_one(project: Project) -> None:
    project.run(
        "create table t (id int, name text)",
        "insert into t select i, 'n' from generate_series(1, 20) i",
        "insert into t values (null, 'x')",
    )
    project.declare("t", "snapshot", key=["id"])
    assert [(row["inserted"], row["quarantined"]) for row in synced(project)] == [(20, 1)]
    assert [row["reason"] for row in project.quarantine("t")] == ["null_key"]
    project.run("update t set id = 21 where id is null")
    assert [(row["inserted"], row["quarantined"]) for row in synced(project)] == [(1, 0)]
    assert project.quarantine("t") == []


def test_five_mistakes_in_the_catalog_are_told_at_once_with_their_places(project: Project) -> None:
    project.run("create table t (id int primary key)")
    project.declare("t", "snapshot", key=["id"])
    good = project.settings
    folder = project.home / "mistaken"
    folder.mkdir()
    (folder / "shop.yaml").write_text(
        "source: shop\nurl_env: source url\ntables:\n  - name: t\n    mode: snapshott\n    key: id\n"
        "  - name: u\n    mode: incremental\n    key: [id]\n    expectatons: []\n"
    )
    project.environment["DAYBREAK_CATALOG"] = str(folder)
    for command in (("sync", "shop"), ("status",), ("run",)):
        said = daybreak(project, *command)
        assert said.exit_code == 2
        places = [
            f"{folder}/shop.yaml:{place}"
            for place in ("2:1 url_env", "5:5 tables.t.mode", "6:5 tables.t.key", "7:5 tables.u", "10:5 tables.u")
        ]
        assert said.tells(*places, "did you mean `snapshot`?", "write [order_id]", "needs `cursor`", "did you mean `expectations`?")
        assert said.tells("Nothing was read or written", "Mend the catalog")
    assert not (project.home / "warehouse.duckdb").exists()
    project.environment["DAYBREAK_CATALOG"] = str(good.catalog_folder)
    synced(project)


def test_a_table_that_the_catalog_does_not_have_is_told_with_those_it_has(project: Project) -> None:
    project.run("create table t (id int primary key)")
    project.declare("t", "snapshot", key=["id"])
    assert daybreak(project, "sync", "shop", "tt").tells("has no table `tt` in the catalog", "Tables: t.")
    assert daybreak(project, "sync", "shoop").tells("The catalog has no source `shoop`", "Sources: shop.")
