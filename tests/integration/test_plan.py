"""`daybreak plan`: what a migration means is told before anything is done, and a sync then does just that."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pipelines.assets.manifest import load_manifest
from pipelines.cli.main import app
from pipelines.settings import load_settings
from tests.conftest import Project

pytestmark = pytest.mark.slow

SOURCES = """
sources:
  - name: raw_shop
    schema: raw_shop
    tables: [{name: t}]
"""
MODEL = """
select id, name as label, qty + 1 as more from (select *{{ former_names('raw_shop', 't') }} from {{ source('raw_shop', 't') }}) as raw
"""


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dbt project of a model on ``t``, one on that, and an exposure, parsed once: its folder, with the manifest in ``target``."""
    folder = tmp_path_factory.mktemp("dbt")
    (folder / "models").mkdir()
    (folder / "dbt_project.yml").write_text("name: small\nprofile: small\n")
    (folder / "profiles.yml").write_text("small: {target: dev, outputs: {dev: {type: duckdb, path: x.duckdb}}}\n")
    exposure = "exposures: [{name: page, type: dashboard, owner: {name: a, email: a@example.com}, depends_on: [ref('m')]}]"
    tests = "models: [{name: m, columns: [{name: label, data_tests: [not_null]}, {name: id, data_tests: [unique]}]}]\n"
    (folder / "models" / "all.yml").write_text(SOURCES + tests + exposure)
    (folder / "models" / "m.sql").write_text(MODEL)
    (folder / "models" / "other.sql").write_text("select id from {{ ref('m') }}")
    (folder / "macros").mkdir()
    (folder / "macros" / "former_names.sql").write_text("{% macro former_names(source_name, table_name) %}{% endmacro %}")
    load_manifest(load_settings({"DAYBREAK_HOME": str(folder / "target"), "DAYBREAK_DBT_PROJECT": str(folder)}))
    return folder


@pytest.fixture
def loaded(project: Project, parsed: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A table of ten rows that was loaded."""
    rows = "insert into t select i, 'n', i from generate_series(1, 10) i"
    project.run("create table t (id int primary key, name text, qty smallint)", rows)
    project.declare("t", "snapshot", key=["id"])
    project.environment["DAYBREAK_DBT_PROJECT"] = str(parsed)
    project.commit("t")
    (project.home / "dbt").mkdir()
    shutil.copy(parsed / "target" / "dbt" / "manifest.json", project.home / "dbt")
    for name, value in project.settings.environment.items():
        monkeypatch.setenv(name, value)
    return project


def plan(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["plan", *arguments])


def planned() -> dict[str, Any]:
    return json.loads(plan("--json").stdout)[0]  # type: ignore[no-any-return]


def test_a_source_that_did_not_change_has_nothing_to_do(loaded: Project) -> None:
    answer = plan("shop")
    assert (answer.exit_code, answer.stdout.strip()) == (0, "1 table has nothing to do.")
    assert plan("--markdown").stdout.strip() == "The source's schema is what was loaded last: nothing to do."


def test_the_planned_ddl_is_what_the_sync_then_does(loaded: Project) -> None:
    loaded.run(
        "alter table t rename name to title",
        "alter table t alter qty type bigint",
        "alter table t add note text default 'none'",
    )
    answer = plan()
    assert answer.exit_code == 0
    found = planned()
    assert (found["state"], found["rows_to_read"]) == ("safe", 10)
    assert {change["told"] for change in found["changes"]} == {"name is now called title", "qty is now bigint, was smallint", "add note"}
    touched = {(item["kind"], item["name"]): (item["columns"], item["because"]) for item in found["touched"]}
    assert touched == {
        ("model", "m"): (["label", "more"], ["name", "qty"]),
        ("test", "not_null_m_label"): (["label"], ["name"]),
        ("dashboard", "page"): ([], ["name", "qty"]),
    }
    assert "touches    model m (label, more), dashboard page, 1 test\n" in answer.stdout
    before = loaded.loads()
    loaded.commit("t")
    assert loaded.loads() == before + 1
    columns = dict(loaded.ask("select column_name, data_type from duckdb_columns() where schema_name = 'raw_shop' and table_name = 't'"))
    assert {"title": "VARCHAR", "qty": "BIGINT", "note": "VARCHAR"}.items() <= columns.items()
    assert planned()["state"] == "nothing to do"


@pytest.mark.parametrize(
    ("contract", "state", "code"), [("evolve", "safe", 0), ("approve", "needs approval", 3), ("freeze", "breaking", 4)]
)
def test_the_contract_judges_a_lossless_change(loaded: Project, contract: str, state: str, code: int) -> None:
    loaded.declare("t", "snapshot", key=["id"], contract=contract)
    loaded.run("alter table t add note text")
    assert loaded.settings
    answer = plan()
    assert (answer.exit_code, planned()["state"]) == (code, state)
    assert (loaded.sync("t").outcome == "held") is (state != "safe")


def test_a_change_that_may_lose_values_needs_approval_and_is_held(loaded: Project) -> None:
    loaded.run("alter table t alter name type int using 1")
    answer = plan("--markdown")
    assert answer.exit_code == 3
    assert (
        "| `shop.t` | name is now integer, was text, which may not hold every value | needs approval | 10 "
        "| model `m` (label), dashboard `page`, 1 test |" in answer.stdout
    )
    assert loaded.sync("t").outcome == "held"


def test_a_safe_change_that_breaks_a_test_ends_as_breaking(loaded: Project) -> None:
    loaded.run("alter table t drop column name")
    answer = plan()
    assert answer.exit_code == 4
    assert "shop.t: safe" in answer.stdout
    assert "breaks     test not_null_m_label: label is NULL in new rows" in answer.stdout
    assert "breaks test `not_null_m_label`: label is NULL in new rows" in plan("--markdown").stdout


@pytest.mark.parametrize("migration", ["drop table t", "alter table t rename id to number"])
def test_a_table_or_key_that_is_gone_is_breaking_and_says_what_to_do(loaded: Project, migration: str) -> None:
    loaded.run(migration)
    answer = plan()
    assert answer.exit_code == 4
    assert "shop.t: breaking" in answer.stdout
    assert planned()["problem"]


def test_a_source_that_is_not_in_the_catalog_is_a_mistake_of_usage(loaded: Project) -> None:
    assert plan("shoop").exit_code == 2


def test_a_dbt_project_that_does_not_parse_hides_no_change_of_the_source(
    loaded: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken" / "models").mkdir(parents=True)
    (tmp_path / "broken" / "dbt_project.yml").write_text("name: broken\nprofile: small\n")
    (tmp_path / "broken" / "profiles.yml").write_text("small: {target: dev, outputs: {dev: {type: duckdb, path: x.duckdb}}}\n")
    (tmp_path / "broken" / "models" / "m.sql").write_text("select {{ ref('nothing') }}")
    monkeypatch.setenv("DAYBREAK_DBT_PROJECT", str(tmp_path / "broken"))
    loaded.run("alter table t add note text")
    answer = plan("shop")
    assert answer.exit_code == 0
    assert "add note" in answer.stdout
    assert "is not known, and not told" in answer.stderr
