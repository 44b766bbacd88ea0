"""The staging model of a table that marks: it shows what stands in the source, says so, and can be made to show all."""

from pathlib import Path

import pytest

from tests.conftest import Project
from tests.integration.comparing import reconcile
from tests.integration.test_add import ROOT, add, catalog, run, shop, staging
from tests.integration.test_generate import build, generate, model_of, raw_columns

__all__ = ["shop"]

pytestmark = pytest.mark.slow
ENTRY = "  - {name: u, mode: incremental, key: [id], cursor: at, deletes: reconcile%s}\n"
FILTER = "where _deleted_at is null"


def enter(project: Project, more: str) -> None:
    """Put the entry of ``u`` into the catalog, in place of the one that is there."""
    file = catalog(project) / "shop.yaml"
    lines = [line for line in file.read_text().splitlines(keepends=True) if "{name: u," not in line]
    file.write_text("".join([*lines[:-1], ENTRY % more, lines[-1]]))


@pytest.fixture
def marking(shop: Project) -> Project:
    shop.run("insert into u (id, email, at) select i, 'm' || i, '2026-03-01' from generate_series(1, 5) i")
    enter(shop, ", deleted_rows: mark")
    return shop


def lint(project: Project) -> None:
    run(staging(project).parents[2], "sqlfluff", "lint", "--disable-progress-bar", "models")


def mark_one(project: Project) -> None:
    from tests.integration.command_line import daybreak

    assert daybreak(project, "sync", "shop").exit_code == 0
    project.run("delete from u where id = 2")
    assert reconcile(project, "u", is_healing=True).marked == 1


def test_the_model_leaves_out_what_is_gone_and_tells_how_to_see_it(marking: Project) -> None:
    add(marking, "t", "u")
    mark_one(marking)
    build(marking)
    lint(marking)
    assert marking.ask("select count(*) from staging.stg_shop__u") == [(4,)]
    assert "gone from the source" in str(raw_columns(marking)["_deleted_at"])
    described = (staging(marking) / "_shop__models.yml").read_text()
    assert "Rows that are gone from the source are left out" in " ".join(described.split())
    text = model_of(marking).read_text()
    assert "take the filter out" in text
    shown = text.replace(f"    {FILTER}\n", "").replace("-- daybreak: end", "-- daybreak: end\n        _deleted_at as deleted_at")
    model_of(marking).write_text(shown.replace("        _loaded_at\n", "        _loaded_at,\n"))
    assert "nothing was written" in generate(marking).output, "what a person decided stays"
    build(marking)
    assert marking.ask("select id from staging.stg_shop__u where deleted_at is not null") == [(2,)]


def test_a_model_that_stands_gets_the_filter_when_marks_are_switched_on(marking: Project) -> None:
    enter(marking, "")
    add(marking, "t", "u")
    assert FILTER not in model_of(marking).read_text()
    enter(marking, ", deleted_rows: mark")
    mark_one(marking)
    told = generate(marking)
    assert "shows rows" not in told.output
    build(marking)
    lint(marking)
    assert marking.ask("select count(*) from staging.stg_shop__u") == [(4,)]
    assert "_deleted_at" in raw_columns(marking)
    assert "nothing was written" in generate(marking).output
    enter(marking, "")
    assert "nothing was written" in generate(marking).output
    assert reconcile(marking, "u", is_healing=True).deleted == 1
    build(marking)  # the column stays, so the filter does no harm


def test_a_model_that_people_wrote_is_left_alone_and_told_of(marking: Project) -> None:
    enter(marking, "")
    add(marking, "t", "u")
    enter(marking, ", deleted_rows: mark")
    own = model_of(marking).read_text().replace("    from source\n", "    from source\n    where id > 0\n")
    model_of(marking).write_text(own)
    assert "stg_shop__u.sql shows rows that are gone from the source" in " ".join(generate(marking).output.split())
    assert model_of(marking).read_text() == own


def test_the_repository_has_no_model_with_a_filter_that_its_table_lacks() -> None:
    marking = "deleted_rows: mark" in (ROOT / "pipelines" / "catalog" / "shop.yaml").read_text()
    filtered = [file.name for file in Path(ROOT / "dbt_project" / "models").rglob("*.sql") if FILTER in file.read_text()]
    assert marking or not filtered
