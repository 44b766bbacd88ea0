"""A staging model's text: plain columns as they are, every other under a snake_case name of its own."""

from dataclasses import replace

import pyarrow as pa
import pytest
import yaml

from pipelines.discovery import deleted
from pipelines.discovery.staging import StagedTable, stage_table, write_model, write_model_entry, write_source_table
from pipelines.sync.shape import Column, TableSchema
from pipelines.sync.spec import TableSpec

KEYWORDS = frozenset({"order", "select", "at"})


def stage(*names: str, key: tuple[str, ...] = (), name: str = "t", **facts: object) -> StagedTable:
    columns = tuple(Column(column, "text", pa.string()) for column in names)
    spec = TableSpec("shop", "public", name, "snapshot", key=key, masks=facts.pop("masks", {}))  # type: ignore[arg-type]
    return stage_table(spec, TableSchema(columns, "1", **facts), KEYWORDS)  # type: ignore[arg-type]


def test_a_model_selects_every_column_by_name_and_when_it_was_loaded() -> None:
    assert write_model(stage("id", "updatedAt", "Name", "order", "a b", "c$", masks={})) == (
        "with\n\nsource as (\n    select *{{ former_names('shop', 't') }} from {{ source('shop', 't') }}\n),\n\nrenamed as (\n    select\n"
        "        -- daybreak: columns of shop.t, written by daybreak generate\n        id,\n"
        "        updatedAt as updated_at,\n"
        '        "NAME" as name,\n        "ORDER" as order_value,\n        "a b" as a_b,\n        "C$" as c,\n'
        "        _load_id,\n        _loaded_at\n        -- daybreak: end\n"
        "    from source\n)\n\n"
        "select * from renamed\n"
    )


def test_a_model_of_a_table_that_marks_leaves_out_what_is_gone_and_says_so() -> None:
    table = stage("id", key=("id",))
    spec = replace(table.spec, mode="incremental", cursor="id", deletes="reconcile", deleted_rows="mark")
    table = stage_table(spec, TableSchema(tuple(staged.column for staged in table.columns), "1"), KEYWORDS)
    assert write_model(table).endswith(
        "        _loaded_at\n        -- daybreak: end\n    from source\n"
        "    -- Gone from the source. To see these rows, take the filter out and select `_deleted_at` behind the region.\n"
        "    where _deleted_at is null\n)\n\nselect * from renamed\n"
    )
    assert yaml.safe_load("\n".join(write_source_table(table)))[0]["columns"][-1]["name"] == "_deleted_at"
    assert "left out" in yaml.safe_load("\n".join(write_model_entry(table)))[0]["description"]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_filter_goes_only_where_the_model_is_as_it_was_generated(newline: str) -> None:
    def write(*lines: str) -> str:
        return newline.join(lines)

    added = deleted.add_filter(write("", "        x as y", "    from source", ")", ""))
    told = "    -- Gone from the source. To see these rows, take the filter out and select `_deleted_at` behind the region."
    assert added == write("", "        x as y", "    from source", told, "    where _deleted_at is null", ")", "")
    for tail in (
        ["", "    from source", "    where id > 0", ")"],
        ["", "    from source join other", ")"],
        ["", "    from (", "    from source", ")"],
    ):
        assert deleted.add_filter(write(*tail)) is None


def test_names_that_become_one_stay_apart() -> None:
    table = stage("a_b", "a b", "A-B", "order_value", "order", "_LOADED AT")
    names = [staged.name for staged in table.columns]
    assert len({*names, "_load_id", "_loaded_at"}) == len(names) + 2
    assert (names[0], names[3]) == ("a_b", "order_value")


def test_dropped_columns_are_not_selected_and_named_in_the_source() -> None:
    table = stage("id", "street", "email", masks={"street": "drop", "email": "hmac"})
    assert "street" not in write_model(table)
    entry = yaml.safe_load("\n".join(write_source_table(table)))[0]
    assert [column["name"] for column in entry["columns"]] == ["id", "email", "_load_id", "_loaded_at"]
    assert "Not loaded: street." in entry["description"]
    assert "keyed hash" in entry["columns"][1]["description"]


def test_one_key_column_is_tested_on_its_own_and_several_together() -> None:
    (single,) = yaml.safe_load("\n".join(write_model_entry(stage("id", key=("id",)))))
    assert single["columns"] == [{"name": "id", "description": "Key.", "data_tests": ["unique", "not_null"]}]
    (several,) = yaml.safe_load("\n".join(write_model_entry(stage("A", "b", "c", key=("A", "b")))))
    assert [column["data_tests"] for column in several["columns"]] == [["not_null"], ["not_null"]]
    assert several["data_tests"][0]["unique_combination"]["arguments"] == {"columns": ["a", "b"]}
    assert "One row per a and b." in several["description"]
    (none,) = yaml.safe_load("\n".join(write_model_entry(stage("a"))))
    assert "rows may repeat" in none["description"]


def test_comments_of_the_source_become_descriptions_that_jinja_leaves_alone() -> None:
    table = stage("id", comment="People: {{ all }}\nof them")
    (entry,) = yaml.safe_load("\n".join(write_model_entry(table)))
    from jinja2 import Template

    assert Template(entry["description"]).render() == "People: {{ all }} of them. No key: rows may repeat."


def test_a_table_with_an_odd_name_keeps_it_as_identifier_and_is_the_asset_that_ingestion_makes() -> None:
    (entry,) = yaml.safe_load("\n".join(write_source_table(stage("id", name='Odd "one'))))
    assert (entry["name"], entry["identifier"]) == ("odd_one", 'Odd ""one')
    assert entry["quoting"] == {"identifier": True}
    from pipelines.assets.ingestion import raw_key

    spec = TableSpec("shop", "public", 'Odd "one', "snapshot")
    assert entry["config"]["meta"]["dagster"]["asset_key"] == list(raw_key(spec).path) == ["raw_shop", "odd_one"]
