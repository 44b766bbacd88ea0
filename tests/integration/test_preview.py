"""`daybreak preview`: types, first rows after masks and what the gates would say; and not a file is written for it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Project
from tests.integration.test_discover import daybreak

SET = {"expect_column_values_to_be_in_set": {"column": "kind", "value_set": ["a", "b"]}, "on_failure": "quarantine"}
RANGE = {"expect_column_values_to_be_between": {"column": "n", "min_value": 0}, "on_failure": "warn"}
COUNT = {"expect_table_row_count_to_be_between": {"min_value": 1}, "on_failure": "hold"}


@pytest.fixture
def table(project: Project) -> Project:
    project.run(
        "create table t (id int primary key, email text, street text, kind text, n int, due date, share real)",
        "insert into t select i, 'u' || i % 2 || '@example.com', 'x', 'a', i - 2, '2026-01-01', 0.1 from generate_series(1, 30) i",
        "update t set kind = 'z' where id = 3",
        "update t set due = 'infinity' where id = 5",
        "update t set email = null where id = 6",
    )
    masks = {"email": {"mask": "hmac"}, "street": {"mask": "drop"}}
    project.declare("t", "snapshot", key=["id"], columns=masks, expectations=[SET, RANGE, COUNT])
    return project


def preview(project: Project, *options: str, table: str = "t") -> dict[str, Any]:
    done = daybreak(project, "preview", "shop", table, "--json", *options)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_rows_are_shown_after_masks_with_their_types(table: Project) -> None:
    found = preview(table, "--rows", "20")
    assert [row[0] for row in found["rows"]] == [str(number) for number in range(1, 21)]
    columns = {column["name"]: (column["source_type"], column["lands_as"], column["mask"]) for column in found["columns"]}
    assert columns["email"] == ("text", "varchar", "hmac")
    assert columns["street"] == ("text", None, "drop")
    assert columns["n"] == ("integer", "integer", None)
    emails = [row[1] for row in found["rows"]]
    assert (len(set(emails)), len(emails[0]), emails[5]) == (3, 64, None)
    assert "example.com" not in json.dumps(found)
    assert found["rows"][0][-1] == "0.1"


def test_gates_say_what_they_find_in_these_rows_and_rows_that_step_aside_are_marked(table: Project) -> None:
    found = preview(table)
    gates = {gate["check"]: (gate["evaluated"], gate["failed"], gate["on_failure"]) for gate in found["gates"]}
    assert gates == {
        "expect_column_values_to_be_in_set(kind)": (30, 1, "quarantine"),
        "expect_column_values_to_be_between(n)": (30, 1, "warn"),
    }
    assert found["aside"] == {"2": "expect_column_values_to_be_in_set(kind)", "4": "value does not fit any warehouse type"}
    assert found["unjudged"] == ["expect_table_row_count_to_be_between"]


def test_a_hash_is_the_one_that_a_load_writes(table: Project) -> None:
    shown = {row[0]: row[1] for row in preview(table)["rows"]}
    table.sync("t")
    assert dict(table.ask("select id::varchar, email from raw_shop.t")).items() <= shown.items()


def test_nothing_is_written_and_without_a_key_the_hashes_are_of_a_random_one(table: Project, tmp_path: Path) -> None:
    table.environment |= {"DAYBREAK_MASK_KEY": "", "DAYBREAK_HOME": str(tmp_path / "nothing"), "HOME": str(tmp_path / "person")}
    (tmp_path / "person").mkdir()
    catalog = table.settings.catalog_folder
    before = sorted(tmp_path.rglob("*"))
    done = daybreak(table, "preview", "shop", "t")
    assert done.exit_code == 0
    assert "no mask key" in done.stdout
    assert sorted(tmp_path.rglob("*")) == before
    assert catalog.is_relative_to(tmp_path)


@pytest.mark.parametrize("width", [60, 200])
def test_the_table_fits_the_terminal(table: Project, width: int) -> None:
    table.environment |= {"COLUMNS": str(width)}
    shown = daybreak(table, "preview", "shop", "t").stdout
    lines = shown.partition("\n\n")[2].partition("\n\n")[0].splitlines()
    assert max(len(line.rstrip()) for line in lines if line[:4].strip(" !").isdigit()) <= width
    assert ("do not fit here" in shown) == (width == 60)
    assert "! 3" in shown.replace("!3", "! 3")
    assert "row 3: expect_column_values_to_be_in_set(kind)" in shown


def test_a_table_without_a_key_is_shown_from_its_beginning(project: Project) -> None:
    project.run("create table t (a int, b text)", "insert into t select i, repeat('x', 100) from generate_series(1, 200000) i")
    project.declare("t", "snapshot")
    assert len(preview(project, "--rows", "7")["rows"]) == 7
    project.run("truncate t")
    assert preview(project)["rows"] == []


def test_a_mistake_in_the_gates_is_told(table: Project) -> None:
    table.declare(
        "t", "snapshot", key=["id"], expectations=[{**SET, "expect_column_values_to_be_in_set": {"column": "knd", "value_set": ["a"]}}]
    )
    done = daybreak(table, "preview", "shop", "t")
    assert done.exit_code == 2
    assert "did you mean `kind`" in done.stderr


def test_a_table_or_source_that_is_not_in_the_catalog_is_told(table: Project) -> None:
    assert "Tables: t." in daybreak(table, "preview", "shop", "x").stderr
    assert "Sources: shop." in daybreak(table, "preview", "shap", "t").stderr


def test_values_that_python_has_no_word_for_are_shown_as_the_source_writes_them(project: Project) -> None:
    values = "1, '0044-03-15 BC', '12026-01-01', '0044-03-15 12:00 BC', '24:00'"
    project.run("create table t (id int primary key, d date, e date, s timestamp, t time)", f"insert into t values ({values})")
    project.declare("t", "snapshot", key=["id"])
    assert preview(project)["rows"] == [["1", "0044-03-15 BC", "12026-01-01", "0044-03-15 12:00:00 BC", "24:00:00"]]
