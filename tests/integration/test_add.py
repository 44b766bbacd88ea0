"""`daybreak add`: an entry, a staging model and its YAML; all of it or nothing, and what people wrote stays as it is."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import Result

from pipelines.catalog.read import read_catalog
from tests.conftest import Project
from tests.integration.test_discover import ODD, daybreak

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CATALOG = """\
# our shop
source: shop
url_env: SOURCE_URL
tables:
  - {name: t, mode: snapshot, key: [id]}   # kept as it is
# the end
"""


@pytest.fixture
def shop(project: Project, tmp_path: Path) -> Project:
    """A project with one table in a catalog that a person wrote, and a dbt project of its own without models."""
    project.run("create table t (id int primary key)", 'create table u (id int primary key, email text, "Full Name" text, at timestamptz)')
    project.run("comment on table u is 'Who they are'", "comment on column u.at is 'When: they came'")
    dbt = tmp_path / "dbt_project"
    shutil.copytree(ROOT / "dbt_project", dbt, ignore=shutil.ignore_patterns("target", "logs", "shop", "marts", "intermediate"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "shop.yaml").write_text(CATALOG)
    project.environment |= {"DAYBREAK_DBT_PROJECT": str(dbt), "DAYBREAK_CATALOG": str(tmp_path / "mine")}
    return project


def catalog(project: Project) -> Path:
    return Path(project.environment["DAYBREAK_CATALOG"])


def staging(project: Project) -> Path:
    return Path(project.environment["DAYBREAK_DBT_PROJECT"]) / "models" / "staging" / "shop"


def add(project: Project, *arguments: str) -> Result:
    done = daybreak(project, "add", "shop", *arguments)
    assert done.exit_code == 0, done.output
    return done


def everything(*folders: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for folder in folders for file in folder.rglob("*") if file.is_file()}


def written(project: Project) -> dict[Path, bytes]:
    return everything(catalog(project), staging(project).parent)


def test_a_table_gets_an_entry_a_model_and_their_yaml_and_the_rest_stays(shop: Project) -> None:
    done = add(shop, "u", "--mask")
    text = (catalog(shop) / "shop.yaml").read_text()
    assert text.startswith(CATALOG.removesuffix("# the end\n"))
    assert text.endswith("# the end\n")
    (source,) = read_catalog(catalog(shop))
    assert source.table("u").masks == {"email": "hmac", "Full Name": "hmac"}
    model = (staging(shop) / "stg_shop__u.sql").read_text()
    assert '        "Full Name" as full_name,\n' in model
    (entry,) = yaml.safe_load((staging(shop) / "_shop__sources.yml").read_text())["sources"]
    assert (entry["schema"], entry["tables"][0]["description"]) == ("raw_shop", "Who they are.")
    assert {"name": "at", "description": "When: they came."} in entry["tables"][0]["columns"]
    (described,) = yaml.safe_load((staging(shop) / "_shop__models.yml").read_text())["models"]
    assert described["description"] == "Who they are. One row per id."
    assert "stg_shop__u.sql" in done.output
    assert "daybreak sync shop u" in done.output
    assert shop.sync("u").outcome == "committed"


def test_a_table_of_the_catalog_gets_only_what_is_missing(shop: Project) -> None:
    add(shop, "t")
    assert (catalog(shop) / "shop.yaml").read_text() == CATALOG
    (staging(shop) / "_shop__models.yml").unlink()
    (staging(shop) / "stg_shop__t.sql").write_text("-- mine\nselect id from {{ source('shop', 't') }}\n")
    before = written(shop)
    add(shop, "t")
    assert {file.name for file in set(written(shop)) - set(before)} == {"_shop__models.yml"}
    assert all(written(shop)[file] == text for file, text in before.items())
    assert "nothing was written" in add(shop, "--all").output


def test_tables_are_put_behind_those_that_stand_in_the_yaml(shop: Project) -> None:
    add(shop, "t")
    models, sources = staging(shop) / "_shop__models.yml", staging(shop) / "_shop__sources.yml"
    models.write_text(f"# mine\n{models.read_text()}  # about t\n# tail\n")
    add(shop, "u")
    text = models.read_text()
    assert text.startswith("# mine\n")
    assert text.index("stg_shop__t") < text.index("stg_shop__u") < text.index("# tail")
    assert [entry["name"] for entry in yaml.safe_load(text)["models"]] == ["stg_shop__t", "stg_shop__u"]
    assert [table["name"] for table in yaml.safe_load(sources.read_text())["sources"][0]["tables"]] == ["t", "u"]


def refused(project: Project, *arguments: str) -> str:
    """Expect exit code 2, and nothing written."""
    before = written(project)
    done = daybreak(project, "add", *arguments)
    assert done.exit_code == 2, done.output
    assert written(project) == before
    return done.stderr


def test_what_cannot_be_added_is_told_at_once_and_nothing_is_written(shop: Project) -> None:
    shop.run("create view v as select 1 as a", 'create table "T" (id int)')
    told = refused(shop, "shop", "u", "v", "T", "uu")
    for part in ("`v` cannot be synced as it is: a view", "cannot tell `T` from `t`", "no table `uu`; did you mean `u`?"):
        assert part in told
    assert "Sources: shop" in refused(shop, "shap", "t")
    assert "one of both" in refused(shop, "shop")
    assert "one of both" in refused(shop, "shop", "t", "--all")


def test_two_tables_that_would_be_one_model_are_refused_and_the_others_can_be_added(shop: Project) -> None:
    shop.run('create table "aB" (id int primary key)', "create table a_b (id int primary key)")
    assert "would be one model: `aB`, `a_b`" in refused(shop, "shop", "aB", "a_b")
    add(shop, "aB")
    assert "would be one model" in refused(shop, "shop", "a_b")
    add(shop, "u")


def test_two_tables_that_would_be_one_asset_are_refused(shop: Project) -> None:
    shop.run('create table "a b" (id int primary key)', "create table a_b (id int primary key)")
    assert "`a b` and `a_b` are one name in the lineage" in refused(shop, "shop", "a b", "a_b")


def test_a_model_of_somebody_else_is_not_overwritten(shop: Project) -> None:
    staging(shop).mkdir(parents=True)
    (staging(shop) / "stg_shop__u.sql").write_text("select 1 as other\n")
    assert "stg_shop__u.sql is there already" in refused(shop, "shop", "t", "u")


def test_a_catalog_in_flow_style_is_left_alone(shop: Project) -> None:
    (catalog(shop) / "shop.yaml").write_text("{source: shop, url_env: SOURCE_URL, tables: [{name: t, mode: snapshot}]}\n")
    assert "`tables` is not a list with an item a line" in refused(shop, "shop", "u")


def test_a_folder_that_cannot_be_written_leaves_no_file_behind(shop: Project) -> None:
    staging(shop).parent.mkdir(parents=True, exist_ok=True)
    staging(shop).write_text("a file in the folder's place")
    refused(shop, "shop", "u")


def test_an_odd_schema_is_discovered_added_linted_and_built(shop: Project) -> None:
    shop.run("drop table t, u", ODD.read_text(encoding="utf-8"), "drop table wide")
    (catalog(shop) / "shop.yaml").unlink()
    daybreak(shop, "discover", "SOURCE_URL", "--source", "shop", "--output", str(catalog(shop) / "shop.yaml"))
    assert daybreak(shop, "sync", "shop").exit_code == 0
    add(shop, "--all")
    dbt = staging(shop).parents[2]
    for dialect in ("duckdb", "snowflake"):
        run(dbt, "sqlfluff", "lint", "--dialect", dialect, "--disable-progress-bar", "models")
    built = run(dbt, "dbt", "build", "--select", "staging.shop", "--target-path", str(shop.home / "dbt"))
    tables = len(shop.settings.sources()[0].tables)
    assert f"{tables} view models" in built
    rows = shop.ask("select new_line, a_b, a_b_2 from staging.stg_shop__odd_cols")
    assert rows == [("x", "z", "y")]


def run(folder: Path, command: str, *arguments: str) -> str:
    home = folder.parent / "home"
    variables = {
        "DAYBREAK_DUCKDB_PATH": str(home / "warehouse.duckdb"),
        "DBT_PROFILES_DIR": str(folder),
        "DBT_LOG_PATH": str(home / "logs"),
    }
    program = str(Path(sys.executable).with_name(command))
    done = subprocess.run([program, *arguments], cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
