"""Runs with a partition key, with a range, and what each leaves in Dagster, in the ledger and in the funnel."""

from typing import Any

import dagster as dg
import pytest

from pipelines.assets.ingestion import ALLOWS_DELETES
from tests.dagster.conftest import QUIET, Daybreak, Rows

pytestmark = pytest.mark.slow

EVENTS = dg.AssetKey(["raw_shop", "events"])
START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def committed_days(daybreak: Daybreak) -> Rows:
    return daybreak.ask("select day, load_id from daybreak.windows where table_name = 'events' and day is not null order by day")


def run_days(daybreak: Daybreak, first: str, last: str, **tags: str) -> dg.ExecuteInProcessResult:
    with daybreak.inside():
        job = daybreak.definitions().resolve_job_def("sync_tables")
        which: dict[str, Any] = {"partition_key": first, "tags": tags} if first == last else {"tags": {START: first, END: last, **tags}}
        how: dict[str, Any] = {"instance": daybreak.instance, "raise_on_error": False, "run_config": QUIET}
        return job.execute_in_process(asset_selection=[EVENTS], **how, **which)


def materialized_days(result: dg.ExecuteInProcessResult) -> set[str | None]:
    return {event.partition for event in result.get_asset_materialization_events() if event.asset_key == EVENTS}


def test_each_committed_day_logs_its_own_materialization(first_morning: Daybreak) -> None:
    logged = first_morning.instance.get_materialized_partitions(EVENTS)
    assert logged == {str(day) for day, _ in committed_days(first_morning)}
    assert len(logged) == 6


def test_a_back_filled_day_is_loaded_again_alone_and_the_funnel_follows_exactly(daybreak: Daybreak) -> None:
    assert daybreak.run().is_green  # other modules let days pass in this shop
    daybreak.write("delete from events where occurred_at::date = '2026-03-05' and event_type = 'cart'")
    before = dict(committed_days(daybreak))
    funnel = daybreak.ask("select * from marts.daily_funnel order by all")
    assert not run_days(daybreak, "2026-03-05", "2026-03-05").success  # more rows are gone than a back-fill deletes by itself
    result = run_days(daybreak, "2026-03-05", "2026-03-05", **{ALLOWS_DELETES: "true"})
    assert result.success
    assert "2026-03-05" in materialized_days(result)
    changed = {str(day) for day, load_id in committed_days(daybreak) if before[day] != load_id}
    assert changed == {"2026-03-05"}
    assert daybreak.run().is_green
    after = daybreak.ask("select * from marts.daily_funnel order by all")
    assert {str(row[0]) for row in set(after) ^ set(funnel)} == {"2026-03-05"}
    assert {row[3] for row in after if str(row[0]) == "2026-03-05"} == {0}


def test_a_range_is_one_run_and_replaces_all_its_days(daybreak: Daybreak) -> None:
    daybreak.write("update events set country = 'DE' where occurred_at::date between '2026-03-05' and '2026-03-06'")
    before = dict(committed_days(daybreak))
    result = run_days(daybreak, "2026-03-05", "2026-03-06")
    assert result.success
    assert materialized_days(result) == {"2026-03-05", "2026-03-06"}
    assert {str(day) for day, load_id in committed_days(daybreak) if before[day] != load_id} == {"2026-03-05", "2026-03-06"}


def test_days_before_the_tables_start_are_not_loaded(daybreak: Daybreak) -> None:
    import shutil
    from pathlib import Path

    folder = daybreak.home / "catalog"
    folder.mkdir()
    text = (Path(__file__).parents[2] / "pipelines" / "catalog" / "shop.yaml").read_text()
    (folder / "shop.yaml").write_text(text)
    (folder / "other.yaml").write_text(
        "source: other\nurl_env: SHOP_DATABASE_URL\nschema: public\ntables:\n"
        "  - {name: events, mode: partitioned, key: [event_id], partition: {column: occurred_at, by: day, start: 2026-03-06}}\n"
    )
    daybreak.environment["DAYBREAK_CATALOG"] = str(folder)
    other = dg.AssetKey(["raw_other", "events"])
    with daybreak.inside():
        job = daybreak.definitions().resolve_job_def("sync_tables")
        how: dict[str, Any] = {"instance": daybreak.instance, "raise_on_error": False, "run_config": QUIET}
        result = job.execute_in_process(asset_selection=[other], tags={START: "2026-03-04", END: "2026-03-07"}, **how)
    assert result.success
    days = daybreak.ask("select cast(day as varchar) from daybreak.windows where source_name = 'other' and day is not null order by day")
    assert days == [("2026-03-06",), ("2026-03-07",)]
    shutil.rmtree(folder)
    del daybreak.environment["DAYBREAK_CATALOG"]
