"""A morning with held tables: what is healthy is fresh, what is held stands as of yesterday, and the run does not look green."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg
import pytest

from tests.dagster.conftest import Daybreak, Morning, Rows

pytestmark = pytest.mark.slow

FUNNEL = "select * from marts.daily_funnel order by all"
MANY_BAD_EVENTS = """
    insert into events (event_id, session_id, event_type, device, properties, occurred_at, received_at)
    select 900000 + i, gen_random_uuid(), 'debug', 'desktop', '{{}}', date '{day}' + interval '1 hour', date '{day}' + interval '1 hour'
    from generate_series(1, 300) i"""
MEND = ("update products set unit_price = -1 - unit_price where unit_price < 0", "delete from events where event_id > 900000")


@dataclass
class Held:
    daybreak: Daybreak
    funnel: Rows
    orders: Rows
    page: str
    versions: dict[str, str]
    morning: Morning


@pytest.fixture(scope="module")
def held(daybreak: Daybreak) -> Iterator[Held]:
    versions = daybreak.run().versions()  # other modules may have loaded days of this shop again
    before = (daybreak.ask(FUNNEL), daybreak.ask("select count(*) from marts.orders"), daybreak.dashboard(), versions)
    daybreak.advance(days=1)
    day = daybreak.source("select max(occurred_at)::date from events")[0][0]
    daybreak.write("update products set unit_price = -1 - unit_price where product_id = 1", MANY_BAD_EVENTS.format(day=day))
    yield Held(daybreak, *before, daybreak.run())
    daybreak.write(*MEND)


def test_the_run_is_not_green_and_names_each_root_cause_once(held: Held) -> None:
    assert not held.morning.is_green
    problems = held.morning.report["problems"]
    assert sum(problem.startswith("shop.products is held") for problem in problems) == 1
    assert sum(problem.startswith("shop.events is held") for problem in problems) == 1
    assert [event.step_key for event in held.morning.result.get_step_failure_events()] == ["reports__morning"]


def test_healthy_tables_and_marts_are_fresh_and_held_ones_left_out(held: Held) -> None:
    outcomes, models = held.morning.outcomes(), held.morning.models()
    assert outcomes["shop.products"] == outcomes["shop.events"] == "held"
    assert outcomes["shop.orders"] == "committed"
    assert {name for name, status in models.items() if status == "left_out"} == {"stg_shop__products", "stg_shop__events", "daily_funnel"}
    assert models["daily_revenue"] == models["orders"] == models["customers"] == "built"
    assert held.daybreak.ask("select count(*) from marts.orders") > held.orders
    assert held.daybreak.ask("select count(*) from marts.orders", copy=True) > held.orders


def test_what_is_held_stands_as_of_yesterday(held: Held) -> None:
    assert held.daybreak.ask(FUNNEL) == held.funnel == held.daybreak.ask(FUNNEL, copy=True)
    assert held.daybreak.ask("select count(*) from raw_shop.products where unit_price < 0") == [(0,)]


def test_every_output_is_yielded_and_held_ones_keep_their_data_version(held: Held) -> None:
    versions = held.morning.versions()
    assert versions.keys() == held.versions.keys() - {"reports/morning"}  # which failed, so that the run is not green
    for key in ("raw_shop/products", "raw_shop/events", "daily_funnel", "stg_shop__events", "dashboards/morning"):
        name = next(found for found in versions if found.endswith(key))
        assert versions[name] == held.versions[name], name
    assert versions["raw_shop/orders"] != held.versions["raw_shop/orders"]
    assert "held" in held.morning.metadata("raw_shop/products")


def test_checks_gate_and_fresh_fail_as_errors_on_held_tables_and_fresh_on_what_is_on_them(held: Held) -> None:
    failed = {name: check for name, check in held.morning.checks().items() if not check.passed}
    for table in ("raw_shop/products", "raw_shop/events"):
        assert failed[table, "gate"].severity == failed[table, "fresh"].severity == dg.AssetCheckSeverity.ERROR
    for key, gate in (("raw_shop/products", "expect_column_values_to_be_between"), ("raw_shop/events", "max_quarantined")):
        told = failed[key, "gate"].description or ""
        assert told.startswith("held: ")
        assert gate in told
        assert "holds the load. Mend the source, and the next run reads it anew; or, if" in told
        assert "`daybreak release 0" in told
        assert isinstance(failed[key, "gate"].metadata["gates"], dg.MarkdownMetadataValue)
    assert failed["raw_shop/events", "gate"].metadata["rows_set_aside"].value >= 300
    stale = {asset.rpartition("/")[2] for asset, check in failed if check == "fresh"}
    assert stale == {"products", "events", "stg_shop__products", "stg_shop__events", "daily_funnel"}


def test_the_dashboard_keeps_its_last_good_version_with_a_banner(held: Held) -> None:
    page = held.daybreak.dashboard()
    assert page != held.page
    assert "daily_funnel: raw_shop.events is held" in page
    start, end = "<!-- daybreak:banner -->", "<!-- /daybreak:banner -->"
    assert page.partition(start)[0] == held.page.partition(start)[0]
    assert page.partition(end)[2] == held.page.partition(end)[2]


def test_daybreak_run_ends_with_3_and_the_banner_keeps_its_since(held: Held) -> None:
    page, stamps = held.daybreak.dashboard(), held.daybreak.stamps()
    done = held.daybreak.daybreak("run")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "shop.products is held" in done.stdout
    assert held.daybreak.dashboard() == page
    assert held.daybreak.stamps() == stamps


def test_daybreak_status_shows_what_is_held_and_why(held: Held) -> None:
    rows = {row["table"]: row for row in json.loads(held.daybreak.daybreak("status", "--json").stdout)}
    assert "unit_price" in rows["shop.products"]["held"]
    assert rows["shop.orders"]["held"] is None


@pytest.mark.slow
def test_a_table_held_on_its_first_load_exists_empty_and_the_dashboard_says_no_data_yet(held: Held, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "dagster").mkdir(parents=True)
    with dg.DagsterInstance.local_temp(str(home / "dagster")) as instance:
        new = replace(held.daybreak, home=home, instance=instance)
        morning = new.run()
        assert not morning.is_green
        assert new.ask("select count(*) from raw_shop.products") == [(0,)]
        assert morning.models()["daily_revenue"] == "built"
        assert {item["delivery"]: item["status"] for item in morning.report["deliveries"]}["dashboards/morning"] == "none"
        assert "data yet" in new.dashboard()
        assert new.has("marts.daily_revenue", copy=True)
        assert not new.has("marts.daily_funnel", copy=True)


def test_zz_when_the_source_is_mended_the_next_run_clears_everything(held: Held) -> None:
    held.daybreak.write(*MEND)
    morning = held.daybreak.run()
    assert morning.is_green, morning.report["problems"]
    assert [name for name, check in morning.checks().items() if not check.passed] == []
    assert "is held" not in held.daybreak.dashboard()
    assert len(held.daybreak.ask(FUNNEL)) > len(held.funnel)
