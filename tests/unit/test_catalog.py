"""The catalog folder: what a good file becomes, and that every problem of every file is reported at once, with its place."""

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from pipelines.catalog.read import read_catalog
from pipelines.errors import ConfigError

GOOD = """\
source: shop
url_env: SHOP_DATABASE_URL
owner: data@example.com
contract: freeze
tables:
  - name: orders
    mode: incremental
    key: [order_id]
    cursor: updated_at
    columns: {email: {mask: hmac}}
    expectations:
      - expect_column_values_to_not_be_null: {column: customer_id}
        on_failure: quarantine
  - name: events
    mode: partitioned
    partition: {column: occurred_at, start: 2026-01-01}
    contract: evolve
"""


def write(folder: Path, text: str, name: str = "shop.yaml") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def problems_of(folder: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_catalog(folder)
    return [problem.removeprefix(f"{folder}/") for problem in caught.value.problems]


def test_a_good_file_becomes_the_engines_words(tmp_path):
    (source,) = read_catalog(write(tmp_path, GOOD))
    orders, events = source.tables
    assert (orders.id, orders.owner, orders.contract, events.contract) == ("shop.orders", "data@example.com", "freeze", "evolve")
    assert orders.masks == {"email": "hmac"}
    assert orders.expectations[0].label == "expect_column_values_to_not_be_null(customer_id)"
    assert events.partition is not None
    assert (events.partition.start, events.partition.lookback_days) == (date(2026, 1, 1), 2)


def test_rows_that_are_gone_can_be_marked_instead_of_removed(tmp_path):
    reconciled = "    cursor: updated_at\n    deletes: reconcile\n"
    (source,) = read_catalog(write(tmp_path, GOOD.replace("    cursor: updated_at\n", f"{reconciled}    deleted_rows: mark\n")))
    assert [table.marks_deleted for table in source.tables] == [True, False]
    (source,) = read_catalog(write(tmp_path, GOOD.replace("    cursor: updated_at\n", reconciled)))
    assert [table.deleted_rows for table in source.tables] == ["remove", "remove"]
    assert not any(table.marks_deleted for table in source.tables)


def test_reading_it_imports_nothing_heavy():
    heavy = ("great_expectations", "pandas", "duckdb", "dagster", "sqlalchemy")
    code = f"import sys, pipelines.catalog.read; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.stdout.strip() == "[]"


def test_five_mistakes_are_reported_at_once_with_their_lines(tmp_path):
    text = (
        GOOD.replace("mode: incremental", "mode: incrementl")
        .replace("mask: hmac", "mask: rot13")
        .replace("on_failure: quarantine", "on_failure: explode")
    )
    text = text.replace("url_env: SHOP_DATABASE_URL", "url_env: shop url").replace("start: 2026-01-01", "start: yesterday")
    found = [problem.split(" ")[0] for problem in problems_of(write(tmp_path, text))]
    assert found == ["shop.yaml:2:1", "shop.yaml:7:5", "shop.yaml:10:23", "shop.yaml:13:9", "shop.yaml:16:38"]


def test_mistakes_between_settings_come_together_with_mistakes_of_one_setting(tmp_path):
    text = GOOD.replace("    cursor: updated_at\n", "").replace("mode: partitioned", "mode: daily").replace("{column: customer_id}", "{}")
    found = problems_of(write(tmp_path, text.replace("key: [order_id]", "key: [order_id, email]")))
    assert [(problem.split(" ")[0], problem.split(" ")[1]) for problem in found] == [
        ("shop.yaml:6:5", "tables.orders:"),
        ("shop.yaml:9:15", "tables.orders.columns.email:"),
        ("shop.yaml:11:9", "tables.orders.expectations.0.expect_column_values_to_not_be_null:"),
        ("shop.yaml:14:5", "tables.events.mode:"),
    ]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("    cursor: updated_at\n", ""), "6:5 tables.orders: mode incremental needs `cursor` — add it"),
        (("    key: [order_id]\n", ""), "6:5 tables.orders: mode incremental needs `key` — add it"),
        (("mode: partitioned", "mode: snapshot"), "16:5 tables.events.partition: `partition` goes with mode partitioned — remove it"),
        (("    partition: {column: occurred_at, start: 2026-01-01}\n", ""), "mode partitioned needs `partition` — add partition: {column"),
        (("contract: evolve", "cursor: x"), "17:5 tables.events.cursor: `cursor` goes with mode incremental"),
        (
            ("    cursor: updated_at\n", "    cursor: updated_at\n    deleted_rows: mark\n"),
            "10:5 tables.orders.deleted_rows: `deleted_rows` goes with mode incremental and `deletes: reconcile` — add `deletes",
        ),
        (
            ("contract: evolve", "deleted_rows: mark"),
            "17:5 tables.events.deleted_rows: `deleted_rows` goes with mode incremental and `deletes: reconcile` — remove it: mode partit",
        ),
        (
            ("    cursor: updated_at\n", "    cursor: updated_at\n    deletes: reconcile\n    deleted_rows: marc\n"),
            "'marc' is not one of remove or mark; did you mean `mark`?",
        ),
        (("mask: hmac", "mask: drop}, order_id: {mask: drop"), "`order_id` is the key, which cannot be masked"),
        (("[order_id]", "[order_id, order_id]"), "8:21 tables.orders.key.1: names `order_id` twice"),
        (("  - name: events", "  - name: orders"), "14:5 tables.orders.name: the table `orders` is named twice — keep one"),
        (
            ("  - name: events", "  - name: Orders"),
            "`orders` and `Orders` are one name to the warehouse, which takes no notice of capitals — sync one",
        ),
        (
            ("  - name: events", "  - name: orders_before_v2"),
            "what the warehouse would call an older table of `orders`, or a copy",
        ),
        (("  - name: events", "  - name: Orders_Daybreak_7"), "would call an older table of `Orders`, or a copy of it — sync one"),
        (("  - name: events", "  - name: Orders!"), "`orders` and `Orders!` are one name in the lineage: `orders` — sync one"),
        (("  - name: events", "  - name:"), "tables.1.name: has no value — give one"),
        (("  - name: events", "  - name: ''"), "tables.1.name: is empty — give a name"),
        (("    cursor: updated_at", "    cursr: updated_at"), "9:5 tables.orders.cursr: there is no such setting; did you mean `cursor`?"),
        (("mask: hmac", "msak: hmac"), "did you mean `mask`?"),
        (("owner: data@example.com", "owner: me"), "an owner is an e-mail address or team:name — for example"),
        (("source: shop", "source: My Shop"), "1:1 source: 'My Shop': a source's name is lower-case letters"),
        (("[order_id]", "order_id"), "8:5 tables.orders.key: 'order_id' is not a list — write [order_id]"),
        (
            ("{mask: hmac}", "hmac"),
            "10:15 tables.orders.columns.email: 'hmac' is not a mapping of settings — write columns: {email: {mask: hmac}}",
        ),
        (("start: 2026-01-01", "start: 20260101"), "16:38 tables.events.partition.start: '20260101' is not a day — write it as 2026-01-31"),
        (("contract: freeze", "max_connections: yes"), "4:1 max_connections: 'yes' is not a whole number"),
        (("contract: freeze", "max_connections: 99"), "4:1 max_connections: '99' is out of range: less than or equal to 32"),
        (("contract: freeze", "contract: freez"), "'freez' is not one of evolve, approve or freeze; did you mean `freeze`?"),
        (("url_env: SHOP_DATABASE_URL\n", ""), "1:1 url_env: is missing — add it"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_its_remedy(tmp_path, change, told):
    folder = write(tmp_path, GOOD.replace(*change))
    assert any(told in problem for problem in problems_of(folder)), problems_of(folder)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            ("_not_be_null", "_not_be_nul"),
            "12:9 tables.orders.expectations.0.expect_column_values_to_not_be_nul: there is no such expectation; did you mean",
        ),
        (
            ("_values_to_not_be_null: {column: customer_id}", "_mean_to_be_between: {column: x, min_value: 1}"),
            "no single row can step aside: it may hold or warn",
        ),
        (
            ("{column: customer_id}", "customer_id"),
            "takes its arguments as a mapping, not 'customer_id' — write expect_column_values_to_not_be_null: {column: …}",
        ),
        (
            ("{column: customer_id}", "{colum: customer_id}"),
            "expectations.0.expect_column_values_to_not_be_null.colum: takes no argument `colum`; did you mean `column`?",
        ),
        (("{column: customer_id}", "{column: no}"), "must be the name of a column, in quotes if it is no plain word, not False"),
        (("hmac", "drop}, customer_id: {mask: drop"), "column `customer_id` is dropped by its mask, so it never lands"),
        (("_not_be_null: {column: customer_id}", "_match_regex: {column: x, regex: '('}"), "is not a regular expression"),
        (
            ("_not_be_null: {column: customer_id}", "_be_between: {column: x, min_value: 5, max_value: 2}"),
            "`min_value` 5 is above `max_value` 2",
        ),
        (("_not_be_null: {column: customer_id}", "_be_in_set: {column: x, value_set: []}"), "the list is empty"),
        (
            ("        on_failure: quarantine", "        on_failure: hold\n        mostly: 2"),
            "14:9 tables.orders.expectations.0.mostly: '2' is out of range",
        ),
        (("        on_failure: quarantine", "        on_failure: hold\n        mostly: 0.0"), "'0.0' is out of range: greater than 0"),
        (
            ("        on_failure: quarantine", "        on_failre: hold"),
            "13:9 tables.orders.expectations.0.on_failre: there is no such setting; did you mean `on_failure`?",
        ),
        (
            ("expect_column_values_to_not_be_null: {column: customer_id}", "mostly: 1"),
            "12:9 tables.orders.expectations.0: names no expectation — write",
        ),
    ],
)
def test_a_mistake_in_an_expectation_is_told_without_any_source(tmp_path, change, told):
    (found,) = problems_of(write(tmp_path, GOOD.replace(*change)))
    assert told in found


def test_a_misspelt_setting_is_not_also_missing(tmp_path):
    (found,) = problems_of(write(tmp_path, GOOD.replace("url_env", "url_evn")))
    assert "did you mean `url_env`?" in found


@pytest.mark.parametrize("name", ["no", "on", "2026-01-01", "007", "1.5", "~"])
def test_a_name_that_yaml_reads_as_something_else_needs_quotes(tmp_path, name):
    (found,) = problems_of(write(tmp_path, GOOD.replace("name: events", f"name: {name}")))
    assert "quotes" in found or "has no value" in found
    (source,) = read_catalog(write(tmp_path, GOOD.replace("name: events", f'name: "{name}"')))
    assert source.tables[1].name == name


@pytest.mark.parametrize("name", ["no", "on", "2026-01-01", "7", "null", "=", "<<x"])
def test_a_column_as_a_key_is_taken_as_it_is_written(tmp_path, name):
    (source,) = read_catalog(write(tmp_path, GOOD.replace("{email:", f"{{{name}:")))
    assert source.tables[0].masks == {name: "hmac"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            ("    cursor: updated_at", "    cursor: updated_at\n    cursor: changed_at"),
            "10:5 tables.orders.cursor: is given twice; the first is in line 9",
        ),
        (("contract: freeze", "contract: freeze\nsource: crm"), "5:1 source: is given twice; the first is in line 1"),
        (("{mask: hmac}", "{mask: hmac, mask: drop}"), "10:35 tables.orders.columns.email.mask: is given twice"),
    ],
)
def test_a_key_given_twice_is_an_error_and_no_silent_choice(tmp_path, change, told):
    (found,) = problems_of(write(tmp_path, GOOD.replace(*change)))
    assert told in found


def test_all_keys_given_twice_are_found_with_the_other_mistakes(tmp_path):
    text = GOOD.replace("owner: data@example.com", "owner: me\nowner: you").replace("mode: partitioned", "mode: daily\n    mode: weekly")
    found = problems_of(write(tmp_path, text))
    assert [problem.split(" ")[0] for problem in found] == ["shop.yaml:4:1", "shop.yaml:4:1", "shop.yaml:17:5", "shop.yaml:17:5"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("source: [", "1:10 file: not YAML"),
        ("source: shop\n\ttables: []", "2:1 file: not YAML: found character '\\t' that cannot start any token — indent with spaces"),
        ("a: 1\n---\nb: 2", "write one source per file"),
        ("", "1:1 file: the file is empty — it needs `source`"),
        ("- a\n", "1:1 file: the file is not a mapping of settings"),
        ("a: &x [*x]\n", "an alias to what it stands in"),
        ("a: \x07", "1:4 file: not YAML: special characters are not allowed"),
        ("? [a]\n: 1", "a list or a mapping where a name belongs"),
        ("source: !secret x", "1:9 source: not YAML: could not determine a constructor"),
    ],
)
def test_what_is_no_yaml_is_told_with_its_place(tmp_path, text, told):
    assert any(told in problem for problem in problems_of(write(tmp_path, text))), problems_of(tmp_path)


def test_a_file_that_is_not_utf8_is_told_with_its_place(tmp_path):
    (tmp_path / "shop.yaml").write_bytes(b"source: shop\nowner: caf\xe9\n")
    assert problems_of(tmp_path) == ["shop.yaml:2:11 file: not YAML: the file is not UTF-8 — save it as UTF-8"]


def test_a_day_that_is_in_no_calendar_is_told_once(tmp_path):
    (found,) = problems_of(write(tmp_path, GOOD.replace("2026-01-01", "2026-13-01")))
    assert "16:45 tables.events.partition.start" in found
    assert "month must be in 1..12" in found


def test_problems_of_all_files_come_together(tmp_path):
    write(tmp_path, GOOD.replace("mode: partitioned", "mode: daily"), "a.yaml")
    write(tmp_path, "source: [", "b.yaml")
    assert [problem.split(" ")[0] for problem in problems_of(tmp_path)] == ["a.yaml:15:5", "b.yaml:1:10"]


def test_one_source_cannot_have_two_files_even_if_they_have_other_mistakes(tmp_path):
    write(tmp_path, GOOD)
    assert "twice.yaml:1:1 source: `shop` is described by shop.yaml too — keep one" in problems_of(write(tmp_path, GOOD, "twice.yaml"))[0]
    found = problems_of(write(tmp_path, GOOD.replace("mode: partitioned", "mode: daily"), "twice.yaml"))
    assert [problem.split(" ")[0] for problem in found] == ["twice.yaml:1:1", "twice.yaml:15:5"]


def test_an_empty_folder_says_what_belongs_there(tmp_path):
    assert "DAYBREAK_CATALOG" in problems_of(tmp_path)[0]


def test_settings_may_be_shared_by_yamls_own_means(tmp_path):
    text = GOOD.replace("  - name: orders", "  - &first\n    name: orders") + "  - <<: *first\n    name: returns\n"
    (source,) = read_catalog(write(tmp_path, text))
    assert (source.tables[2].name, source.tables[2].key, source.tables[2].cursor) == ("returns", ("order_id",), "updated_at")


@pytest.mark.parametrize("limit", [0, 100, 0.0, 0.05, 1.0])
def test_max_quarantined_is_a_count_or_a_share(tmp_path, limit):
    (source,) = read_catalog(write(tmp_path, GOOD.replace("    cursor:", f"    max_quarantined: {limit}\n    cursor:")))
    assert (source.tables[0].max_quarantined, type(source.tables[0].max_quarantined)) == (limit, type(limit))


@pytest.mark.parametrize("limit", ["true", "-1", "1.5", "-0.1", "5%", ".nan", "[1]"])
def test_max_quarantined_that_is_neither_is_explained(tmp_path, limit):
    (found,) = problems_of(write(tmp_path, GOOD.replace("    cursor:", f"    max_quarantined: {limit}\n    cursor:")))
    assert "neither a count of rows nor a share — write a whole number of rows such as 100, or a share such as 0.05" in found
