"""The morning end to end on a small shop: a first run, an unchanged one, one after a day with bad rows. In this order."""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pytest

from tests.dagster.conftest import Daybreak, Morning, Rows

TABLES = ("customers", "addresses", "products", "orders", "order_items", "payments", "events")
MASKED = ("email", "street", "ip")


@dataclass
class Story:
    """What the runs of this module came to, so that each is looked at by several tests."""

    daybreak: Daybreak
    runs: dict[str, Morning] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


@pytest.fixture(scope="module")
def story(shop: Daybreak) -> Story:
    story = Story(shop)
    story.runs["first"] = shop.run()
    story.facts["loads"] = shop.ask("select count(*) from daybreak.ledger")
    story.facts["stamps"] = shop.stamps()
    story.runs["second"] = shop.run()
    story.facts["loads after second"] = shop.ask("select count(*) from daybreak.ledger")
    story.facts["stamps after second"] = shop.stamps()
    story.facts["summary"] = shop.advance(days=1, bad_rows=True)
    story.runs["third"] = shop.run()
    return story


def columns_of(daybreak: Daybreak, table: str) -> list[str]:
    where = f"attrelid = '{table}'::regclass and attnum > 0 and not attisdropped"
    names = daybreak.source(f"select attname from pg_attribute where {where} order by attnum")
    return [name for (name,) in names if name not in MASKED]


def source_rows(daybreak: Daybreak, table: str) -> Rows:
    columns = ", ".join(f"{name}::text" for name in columns_of(daybreak, table))
    return daybreak.source(f"select {columns} from {table}")


def warehouse_rows(daybreak: Daybreak, table: str) -> Rows:
    columns = ", ".join(f"cast({name} as varchar)" for name in columns_of(daybreak, table))
    return daybreak.ask(f"select {columns} from raw_shop.{table}")


def test_first_run_is_green_and_yields_every_output(story: Story) -> None:
    first = story.runs["first"]
    assert first.is_green
    assert first.report["problems"] == []
    assert set(first.outcomes().values()) == {"committed"}
    everything = {key.to_user_string() for key in story.daybreak.definitions().resolve_asset_graph().materializable_asset_keys}
    assert first.yielded() == everything


def test_first_run_records_every_check_and_all_pass(story: Story) -> None:
    checks = story.runs["first"].checks()
    keys = story.daybreak.definitions().resolve_asset_graph().asset_check_keys
    defined = {(key.asset_key.to_user_string(), key.name) for key in keys if key.name != "parity"}  # which is the night's
    assert checks.keys() == defined
    assert [name for name, check in checks.items() if not check.passed] == []


def test_first_run_publishes_the_dashboard_and_the_read_copy(story: Story) -> None:
    assert story.runs["first"].deliveries() == {
        "dashboards/completeness": "published",
        "dashboards/morning": "published",
        "warehouse/read_copy": "published",
    }
    assert "vegaEmbed" in story.daybreak.dashboard()
    assert story.daybreak.has("marts.daily_funnel", copy=True)


def test_metadata_tell_rows_columns_and_the_load(story: Story) -> None:
    metadata = story.runs["first"].metadata("raw_shop/orders")
    assert metadata["rows_read"] == metadata["rows_inserted"] == metadata["dagster/row_count"]
    assert "customer_id" in [column.name for column in metadata["dagster/column_schema"].columns]
    assert metadata["load_id"] == story.runs["first"].versions()["raw_shop/orders"]
    assert story.runs["first"].metadata("marts/orders")["dagster/row_count"] > 0


def test_unchanged_run_writes_nothing_and_builds_nothing(story: Story) -> None:
    second = story.runs["second"]
    assert second.is_green
    assert set(second.outcomes().values()) == {"unchanged"}
    assert story.facts["loads after second"] == story.facts["loads"]
    assert story.facts["stamps after second"] == story.facts["stamps"]
    assert {item["status"] for item in second.report["deliveries"]} == {"unchanged"}
    started = second.report["started_at"]
    assert [model["model"] for model in second.report["models"] if model["built_at"] >= started] == []


def test_unchanged_run_yields_every_output_with_its_old_data_version(story: Story) -> None:
    first, second = story.runs["first"].versions(), story.runs["second"].versions()
    assert second.keys() == first.keys()
    del first["reports/morning"], second["reports/morning"]  # which has no version of its own
    assert second == first


def test_unchanged_run_says_what_was_read_again_and_why(story: Story) -> None:
    second = story.runs["second"]
    assert second.table("shop.products")["note"] == "a snapshot is read whole"
    assert "late rows" in second.table("shop.events")["note"]
    assert "are read again" in second.table("shop.orders")["note"]
    assert second.table("shop.products")["read"] == second.table("shop.products")["unchanged"] > 0


@pytest.mark.parametrize("table", TABLES)
def test_a_day_later_exactly_the_difference_is_loaded(story: Story, table: str) -> None:
    summary, told = story.facts["summary"], story.runs["third"].table(f"shop.{table}")
    assert story.runs["third"].is_green
    bad = summary.bad_rows[table]
    found = (told["inserted"], told["updated"], told["deleted"], told["quarantined"])
    assert found == (summary.inserted[table] - bad, summary.updated[table], summary.deleted[table], bad)


@pytest.mark.parametrize("table", TABLES)
def test_raw_tables_equal_the_source_but_for_quarantined_rows(story: Story, table: str) -> None:
    source, warehouse = Counter(source_rows(story.daybreak, table)), Counter(warehouse_rows(story.daybreak, table))
    aside = story.daybreak.ask(f"select count(*) from daybreak.quarantine where table_name = '{table}' and state = 'open'")[0][0]
    assert not warehouse - source
    assert (source - warehouse).total() == aside == story.facts["summary"].bad_rows[table]


def test_bad_rows_are_a_warning_on_the_gate_and_not_an_error(story: Story) -> None:
    checks = story.runs["third"].checks()
    gate = checks["raw_shop/orders", "gate"]
    assert (gate.passed, gate.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert checks["raw_shop/orders", "fresh"].passed


def test_incremental_funnel_equals_one_computed_from_the_raw_rows(story: Story) -> None:
    numbers = "sessions, sessions_with_cart, sessions_with_purchase"
    funnel = story.daybreak.ask(f"select event_date, device, {numbers} from marts.daily_funnel order by all")
    expected = story.daybreak.ask("""
        select cast(occurred_at as date) as day, device, count(distinct session_id),
            count(distinct session_id) filter (event_type = 'cart'), count(distinct session_id) filter (event_type = 'purchase')
        from raw_shop.events group by all order by all""")
    assert funnel == expected
    assert len({day for day, *_ in funnel}) == 7


def test_models_are_shown_as_built_on_the_projects_day_and_not_on_the_clocks(story: Story) -> None:
    rows = re.findall(r'<tr><th scope="row">(?:customers|orders)</th>.*?</tr>', story.daybreak.dashboard(), re.DOTALL)
    assert len(rows) == 2
    assert all(f"{story.daybreak.today.day} {story.daybreak.today:%b} " in row for row in rows), rows
