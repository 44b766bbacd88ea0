"""The catalog folder: what a good file becomes, and that every problem of every file is reported at once, with its place."""

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


def test_five_mistakes_are_reported_at_once_with_their_lines(tmp_path):
    text = (
        GOOD.replace("mode: incremental", "mode: incrementl")
        .replace("mask: hmac", "mask: rot13")
        .replace("on_failure: quarantine", "on_failure: explode")
    )
    text = text.replace("url_env: SHOP_DATABASE_URL", "url_env: shop url").replace("start: 2026-01-01", "start: yesterday")
    found = problems_of(write(tmp_path, text))
    places = {problem.split(" ")[0] for problem in found}
    assert {"shop.yaml:2:1", "shop.yaml:7:5", "shop.yaml:10:23", "shop.yaml:13:9", "shop.yaml:16:38"} <= places


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("    cursor: updated_at\n", ""), "mode incremental needs `key` and `cursor`"),
        (("mask: hmac", "mask: drop}, order_id: {mask: drop"), "cannot be masked"),
        (("  - name: events", "  - name: orders"), "named twice: orders"),
        (("    cursor: updated_at", "    cursr: updated_at"), "there is no such setting"),
        (("{column: customer_id}", "customer_id"), "an expectation is one"),
    ],
)
def test_a_mistake_is_explained(tmp_path, change, told):
    assert any(told in problem for problem in problems_of(write(tmp_path, GOOD.replace(*change))))


def test_problems_of_all_files_come_together(tmp_path):
    write(tmp_path, GOOD.replace("mode: partitioned", "mode: daily"), "a.yaml")
    write(tmp_path, "source: [", "b.yaml")
    found = problems_of(tmp_path)
    assert any(problem.startswith("a.yaml:15") for problem in found)
    assert any(problem.startswith("b.yaml:1:10 not YAML") for problem in found)


def test_one_source_cannot_have_two_files(tmp_path):
    write(tmp_path, GOOD)
    assert "described by another file too" in problems_of(write(tmp_path, GOOD, "twice.yaml"))[0]


def test_an_empty_folder_says_what_belongs_there(tmp_path):
    assert "DAYBREAK_CATALOG" in problems_of(tmp_path)[0]


def test_a_day_that_is_in_no_calendar_is_a_problem_of_the_file(tmp_path):
    assert "not YAML" in problems_of(write(tmp_path, GOOD.replace("2026-01-01", "2026-13-01")))[0]
