"""`daybreak generate`: models and YAML follow the source's columns, and what people wrote stays."""

import shutil
from pathlib import Path

import pytest
import yaml
from click.testing import Result

from tests.conftest import Project
from tests.integration.test_add import ROOT, add, run, shop, staging, written
from tests.integration.test_discover import daybreak

__all__ = ["shop"]  # the fixture: one table `t (id)` in the catalog, and `u (id, email, "Full Name", at)` in the source

pytestmark = pytest.mark.slow


def generate(project: Project, *arguments: str, code: int = 0) -> Result:
    done = daybreak(project, "generate", *arguments)
    assert done.exit_code == code, done.output
    return done


@pytest.fixture
def added(shop: Project) -> Project:
    """The project with `u` added, its model edited by a person, and both tables loaded."""
    add(shop, "t", "u")
    model = model_of(shop)
    hand = "_loaded_at,\n        -- daybreak: end\n        upper(email) as loud -- mine\n"
    edited = model.read_text().replace("_loaded_at\n        -- daybreak: end\n", hand)
    model.write_text(edited.replace("email,", "email as address,"))
    assert daybreak(shop, "sync", "shop").exit_code == 0
    return shop


def model_of(project: Project) -> Path:
    return staging(project) / "stg_shop__u.sql"


def note_former_names(project: Project) -> None:
    """Note the rename as the engine does, where it did not."""
    import duckdb

    with duckdb.connect(str(project.home / "warehouse.duckdb")) as connection:
        columns = "'shop' as source_name, 'u' as table_name, 'email' as former_name, 'mail' as current_name"
        connection.execute(f"create table if not exists daybreak.former_names as select {columns}")


def build(project: Project) -> None:
    run(staging(project).parents[2], "dbt", "run", "--select", "staging.shop", "--target-path", str(project.home / "dbt"))


def raw_columns(project: Project) -> dict[str, str | None]:
    (source,) = yaml.safe_load((staging(project) / "_shop__sources.yml").read_text())["sources"]
    table = next(table for table in source["tables"] if table["name"] == "u")
    return {column["name"]: column.get("description") for column in table["columns"]}


def test_what_is_as_the_source_is_stays_to_the_byte(added: Project) -> None:
    before = written(added)
    assert "nothing was written" in generate(added, "--check").output
    assert "nothing was written" in generate(added, "shop", "u").output
    assert written(added) == before


def test_models_and_yaml_follow_a_migration_and_keep_what_people_wrote(added: Project) -> None:
    sources = staging(added) / "_shop__sources.yml"
    sources.write_text(sources.read_text().replace("{name: email}", "{name: email, description: Where to write.} # mine"))
    added.run(
        "insert into u (id, email) values (1, 'a@b.c')",
        "alter table u rename email to mail",
        "alter table u drop column at",
        "alter table u add phone text",
        "comment on column u.phone is 'Where to call'",
    )
    before = written(added)
    generate(added, "--check")  # the warehouse does not know of it yet
    assert daybreak(added, "sync", "shop", "u").exit_code == 0
    done = generate(added, "shop", "u", "--check", code=3)
    assert "would be changed" in done.output
    assert written(added) == before
    note_former_names(added)
    build(added)
    assert added.ask("select loud from staging.stg_shop__u") == [("A@B.C",)]
    generate(added)
    build(added)
    assert added.ask("select address, loud, phone from staging.stg_shop__u") == [("a@b.c", "A@B.C", None)]
    region = model_of(added).read_text().partition("written by daybreak generate\n")[2].partition("    from source")[0]
    assert [line.strip() for line in region.splitlines()] == [
        "id,",
        "mail as address,",
        '"Full Name" as full_name,',
        '"AT" as at_value, -- dropped from the source',
        "phone,",
        "_load_id,",
        "_loaded_at,",
        "-- daybreak: end",
        "upper(email) as loud -- mine",
    ]
    assert "- {name: mail, description: Where to write.} # mine" in sources.read_text()
    assert list(raw_columns(added)) == ["id", "mail", "Full Name", "at", "phone", "_load_id", "_loaded_at"]
    assert raw_columns(added)["phone"] == "Where to call."
    models = yaml.safe_load((staging(added) / "_shop__models.yml").read_text())["models"]
    assert {"name": "phone", "description": "Where to call."} in models[1]["columns"]
    after = written(added)
    assert "nothing was written" in generate(added).output
    assert written(added) == after
    run(staging(added).parents[2], "sqlfluff", "lint", "--disable-progress-bar", "models")


def test_a_model_without_a_region_is_left_alone_and_told_what_to_add(added: Project) -> None:
    text = "select * from {{ source('shop', 'u') }}\n"
    model_of(added).write_text(text)
    done = generate(added, "shop")
    assert "stg_shop__u.sql has no region" in done.output
    assert "-- daybreak: columns of shop.u, written by daybreak generate" in done.output
    assert model_of(added).read_text() == text


def test_tables_that_were_never_loaded_are_written_from_the_source(shop: Project) -> None:
    add(shop, "u")
    before = written(shop)
    assert "nothing was written" in generate(shop, "shop", "u").output
    shop.run("alter table u add phone text")
    generate(shop, "shop", "u")
    assert "        phone,\n" in model_of(shop).read_text()
    generate(shop, "shop", "t")
    assert {file.name for file in set(written(shop)) - set(before)} == {"stg_shop__t.sql"}


def test_a_region_that_is_none_any_more_stops_everything(added: Project) -> None:
    model_of(added).write_text(model_of(added).read_text().replace("        id,", "        cast(id as int) as id,"))
    (staging(added) / "stg_shop__t.sql").unlink()
    before = written(added)
    told = generate(added, code=2).output
    assert "`cast(id as int) as id,` is no plain column" in told
    assert written(added) == before
    assert "has no table `x`" in generate(added, "shop", "x", code=2).output


def test_the_shops_own_models_are_as_generate_writes_them(project: Project, tmp_path: Path) -> None:
    project.run((ROOT / "pipelines" / "shop" / "schema.sql").read_text())
    dbt = tmp_path / "dbt_project"
    shutil.copytree(ROOT / "dbt_project", dbt, ignore=shutil.ignore_patterns("target", "logs"))
    project.environment |= {"DAYBREAK_DBT_PROJECT": str(dbt), "DAYBREAK_CATALOG": str(ROOT / "pipelines" / "catalog")}
    project.environment |= {"SHOP_DATABASE_URL": project.url}
    assert "nothing was written" in generate(project, "shop", "--check").output
