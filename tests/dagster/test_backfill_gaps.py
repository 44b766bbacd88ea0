"""The sensor that fills gaps: its decision alone, and ticks on the real source that are missed, doubled, reordered or killed half-way."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus

import sensors.backfill_gaps as under_test
from pipelines.runs.backfills import CONTENT_TAG, TABLE_TAG, Asked, DaysOrder, Outcome, assets_in_backfills, find_newest, launch_days
from pipelines.sync.gaps import Gap
from pipelines.wiring import open_mirror
from sensors.backfill_gaps import FIRST_PAUSE, GOING_ON, LONGEST_PAUSE, MOST_RUNS, Known, Wish, decide, list_wishes
from tests.dagster.conftest import Daybreak
from tests.dagster.test_partitions import EVENTS, committed_days, materialized_days, run_days

pytestmark = pytest.mark.slow

NOW = datetime(2026, 3, 10, 6, tzinfo=UTC)
WISH = Wish("shop.events", (date(2026, 3, 4), date(2026, 3, 5)), "2 days were never loaded")


def gap(kind: Any, *days: int, table: str = "shop.events", held: str | None = None) -> Gap:
    return Gap(table, kind, f"{len(days)} {kind}", "", tuple(date(2026, 3, day) for day in days), held)


def made(outcome: Outcome, attempt: int = 1, wish: Wish = WISH) -> Asked:
    return Asked(outcome, NOW, frozenset(wish.days), attempt)


def after(known: Known, wish: Wish = WISH, now: datetime = NOW) -> tuple[bool, list[str]]:
    """Whether a wish is asked for, and why not."""
    asked, waiting = decide([wish], {}, lambda _wish: known, now)
    return asked == [wish], waiting


def test_one_wish_a_table_joins_its_gaps_and_tells_why() -> None:
    (wish,) = list_wishes([gap("days_missing", 4, 5), gap("days_differ", 2, 5)])
    assert [day.day for day in wish.days] == [2, 4, 5]
    assert wish.why == "2 days_missing; 2 days_differ"


def test_what_waits_for_a_person_or_is_not_about_days_is_no_wish() -> None:
    others = [gap("never_loaded"), gap("behind"), gap("unfilled"), gap("rows_differ"), gap("days_differ")]
    assert list_wishes([*others, gap("days_missing", 4, held="a gate")]) == []


def test_scattered_days_become_a_few_runs() -> None:
    scattered = [date(2020, 1, 1) + timedelta(days=2 * number) for number in range(2500)]
    (wish,) = list_wishes([Gap("shop.events", "days_missing", "", "", tuple(scattered))])
    runs = 1 + sum(later - earlier > timedelta(days=1) for earlier, later in pairwise(wish.days))
    assert runs <= MOST_RUNS
    assert set(scattered) <= set(wish.days)


def test_a_gap_is_asked_for_once_while_its_back_fill_goes_on() -> None:
    assert after(Known()) == (True, [])
    running = made("running")
    assert after(Known(running, running)) == (False, [f"shop.events: {GOING_ON}"])


def test_a_back_fill_that_did_not_help_is_tried_again_later_and_later() -> None:
    pauses = []
    for attempt in range(1, 16):
        last = made("failed" if attempt % 2 else "succeeded", attempt)
        pause = next(minutes for minutes in range(1, 1500) if after(Known(last, last), now=NOW + timedelta(minutes=minutes))[0])
        pauses.append(timedelta(minutes=pause))
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (FIRST_PAUSE, LONGEST_PAUSE)


def test_one_that_got_further_is_not_made_to_wait() -> None:
    rest = replace(WISH, days=WISH.days[1:])
    assert rest.content != WISH.content
    assert after(Known(of_table=made("failed")), rest) == (True, [])


def test_one_that_a_person_canceled_is_not_asked_for_again_however_far_it_came() -> None:
    canceled, later = made("canceled"), NOW + timedelta(days=30)
    assert not after(Known(canceled, canceled), now=later)[0]
    assert not after(Known(of_table=canceled), replace(WISH, days=WISH.days[1:]), later)[0]
    others = replace(WISH, days=(*WISH.days, date(2026, 3, 9)))
    assert after(Known(of_table=canceled), others, later)[0]


def test_a_table_with_which_something_goes_on_is_left_alone_and_one_back_fill_goes_on_at_once() -> None:
    wishes = [replace(WISH, table=f"shop.t{number}") for number in range(4)]
    asked, waiting = decide(wishes, {"shop.t0": "a sync is going on"}, lambda _wish: Known(), NOW)
    assert [wish.table for wish in asked] == ["shop.t1"]
    assert waiting[0] == "shop.t0: a sync is going on"
    assert all("one back-fill at once is enough" in told for told in waiting[1:])
    assert decide(wishes[1:], {"shop.t0": GOING_ON}, lambda _wish: Known(), NOW)[0] == []


# -- on the real source


@pytest.fixture(scope="module")
def cut(daybreak: Daybreak) -> Daybreak:
    """A morning that found three older days in the source, and could load one of them."""
    daybreak.write(
        "create temp table older as select * from events where occurred_at::date <= '2026-03-06'",
        "update older set event_id = event_id + 10000000, occurred_at = occurred_at - interval '3 days'",
        "insert into events select * from older",
    )
    daybreak.environment["DAYBREAK_MAX_WINDOWS_PER_RUN"] = "1"
    assert daybreak.run().is_green
    assert [str(day) for day, _ in committed_days(daybreak)][:2] == ["2026-03-01", "2026-03-04"]
    return daybreak


def tick(daybreak: Daybreak) -> dg.SensorResult:
    with daybreak.inside():
        (sensor,) = under_test.make_backfill_gaps(daybreak.settings.sources())
        result = sensor(dg.build_sensor_context(instance=daybreak.instance, definitions=daybreak.definitions()))
    assert isinstance(result, dg.SensorResult)
    return result


def asked(daybreak: Daybreak) -> list[Any]:
    return list(daybreak.instance.get_backfills())


def test_missing_days_become_one_back_fill_with_a_title_that_says_why(cut: Daybreak) -> None:
    assert "asked for shop.events" in str(tick(cut).skip_reason)
    (backfill,) = asked(cut)
    assert backfill.title == "shop.events: 2 days were never loaded: 2026-03-02 to 2026-03-03"
    assert backfill.status == BulkActionStatus.REQUESTED
    assert list(backfill.asset_selection) == [EVENTS]
    subset = backfill.asset_backfill_data.target_subset.get_partitions_subset(EVENTS)
    assert sorted(subset.get_partition_keys()) == ["2026-03-02", "2026-03-03"]
    assert backfill.tags["daybreak/because"] == backfill.title


def test_doubled_and_reordered_ticks_ask_for_nothing_more(cut: Daybreak) -> None:
    for _ in range(3):
        assert "going on" in str(tick(cut).skip_reason)
    assert len(asked(cut)) == 1


def test_two_ticks_at_the_same_moment_ask_once(cut: Daybreak, monkeypatch: pytest.MonkeyPatch) -> None:
    (before,) = asked(cut)
    monkeypatch.setattr(under_test, "find_newest", lambda *_: None)  # the other tick has not written yet
    monkeypatch.setattr(under_test, "assets_in_backfills", lambda _instance: set())
    tick(cut)
    assert [one.backfill_id for one in asked(cut)] == [before.backfill_id]


def test_while_a_sync_loads_what_is_missing_it_is_no_gap_to_fill(cut: Daybreak, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "find_newest", lambda *_: None)
    monkeypatch.setattr(under_test, "assets_in_backfills", lambda _instance: set())
    monkeypatch.setattr(under_test, "launch_days", lambda *_: pytest.fail("it was asked for"))
    mirror = open_mirror(cut.settings.state_url)
    with mirror.attempt("shop.events", None) as attempt:
        assert "shop.events: a sync is going on" in str(tick(cut).skip_reason)
        attempt.finish("committed")


def launch(instance: dg.DagsterInstance, wish: Wish, partitions: dg.DailyPartitionsDefinition, attempt: int = 1) -> bool:
    order = DaysOrder(wish.table, dg.AssetKey(wish.table), wish.days, wish.why, wish.content, attempt)
    return launch_days(instance, order, partitions, {})


def test_a_daemon_killed_before_it_remembered_asks_for_nothing_twice(tmp_path: Path) -> None:
    partitions = dg.DailyPartitionsDefinition("2026-03-01", end_date="2026-03-09")
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:

        def find(wish: Wish) -> Known:
            return Known(find_newest(instance, TABLE_TAG, wish.table), find_newest(instance, CONTENT_TAG, wish.content))

        for _tick in range(3):  # each dies right after it asked, and nothing that a tick would have returned is kept
            busy = dict.fromkeys((key.to_user_string() for key in assets_in_backfills(instance)), GOING_ON)
            wishes, _ = decide([WISH], busy, find, NOW)
            assert all(launch(instance, wish, partitions) for wish in wishes)
        assert len(instance.get_backfills()) == 1
        assert launch(instance, WISH, partitions, attempt=2)
        newest = find_newest(instance, CONTENT_TAG, WISH.content)
        assert newest is not None
        assert (newest.outcome, newest.attempt, newest.days) == ("running", 2, frozenset(WISH.days))


def test_five_thousand_days_are_one_back_fill_of_one_range() -> None:
    first = date(2012, 1, 1)
    days = [first + timedelta(days=number) for number in range(5000)]
    (wish,) = list_wishes([Gap("shop.events", "days_missing", f"{len(days)} days", "", tuple(days))])
    partitions = dg.DailyPartitionsDefinition(first.isoformat())
    with dg.DagsterInstance.ephemeral() as instance:
        assert launch(instance, wish, partitions)
        assert not launch(instance, wish, partitions)
        (backfill,) = instance.get_backfills()
        data = backfill.asset_backfill_data
        assert data is not None
        subset = data.target_subset.get_partitions_subset(dg.AssetKey("shop.events"))
        assert len(subset) == 5000
        assert len(subset.get_partition_key_ranges(partitions)) == 1


def test_days_that_are_no_partition_are_not_asked_for() -> None:
    partitions = dg.DailyPartitionsDefinition("2026-03-05", end_date="2026-03-09")
    with dg.DagsterInstance.ephemeral() as instance:
        launch(instance, replace(WISH, why='why "so" 100%*'), partitions)
        (backfill,) = instance.get_backfills()
        assert (backfill.title, backfill.description) == ("why so 100", 'why "so" 100%*')
        data = backfill.asset_backfill_data
        assert data is not None
        assert list(data.target_subset.get_partitions_subset(dg.AssetKey("shop.events")).get_partition_keys()) == ["2026-03-05"]


def test_a_back_fill_that_ended_is_followed_by_one_run_of_the_models(cut: Daybreak) -> None:
    (backfill,) = asked(cut)
    result = run_days(cut, "2026-03-02", "2026-03-03")
    assert result.success
    assert len(committed_days(cut)) == 9
    cut.instance.update_backfill(backfill.with_status(BulkActionStatus.COMPLETED_SUCCESS))
    followed = tick(cut)
    (request,) = followed.run_requests or []
    assert request.tags["daybreak/because"] == "back-fill of shop.events"
    selected = {key.to_user_string() for key in request.asset_selection or ()}
    assert "raw_shop/events" not in selected
    assert {"daily_funnel", "reports/morning"} <= {key.rpartition("/")[2] if "reports" not in key else key for key in selected}
    (again,) = tick(cut).run_requests or []
    assert again.run_key == request.run_key
    morning = cut.run("backfill", asset_selection=request.asset_selection)
    assert morning.is_green, morning.explain()
    assert {str(row[0]) for row in cut.ask("select distinct event_date from marts.daily_funnel")} >= {"2026-03-02", "2026-03-03"}
    assert "no gaps" in str(tick(cut).skip_reason)


def test_missed_ticks_lose_nothing_and_a_day_that_differs_is_loaded_again(cut: Daybreak) -> None:
    cut.write("update events set country = 'ZZ' where event_id = (select min(event_id) from events where occurred_at::date = '2026-03-01')")
    cut.daybreak("reconcile", "shop", "events", "--full")
    told = str(tick(cut).skip_reason)
    assert "asked for shop.events, 2026-03-01" in told
    (backfill,) = [one for one in asked(cut) if one.status == BulkActionStatus.REQUESTED]
    assert "1 row is not as in the source" in str(backfill.title)


def test_outside_of_its_hours_it_asks_for_nothing(cut: Daybreak) -> None:
    now = datetime.now(UTC)
    cut.environment["DAYBREAK_BACKFILL_HOURS"] = f"{now + timedelta(hours=2):%H:%M}-{now + timedelta(hours=3):%H:%M}"
    before = len(asked(cut))
    assert "back-fills may read from" in str(tick(cut).skip_reason)
    assert len(asked(cut)) == before
    del cut.environment["DAYBREAK_BACKFILL_HOURS"]


def test_a_range_run_that_the_hours_stop_fails_and_leaves_its_days_to_the_next(cut: Daybreak) -> None:
    now = datetime.now(UTC)
    cut.environment["DAYBREAK_BACKFILL_HOURS"] = f"{now + timedelta(hours=2):%H:%M}-{now + timedelta(hours=3):%H:%M}"
    result = run_days(cut, "2026-03-04", "2026-03-05")
    assert not result.success
    (failure,) = result.get_step_failure_events()
    assert "0 of 2 days are done; back-fills may read from" in str(failure.event_specific_data)
    del cut.environment["DAYBREAK_BACKFILL_HOURS"]
    assert run_days(cut, "2026-03-04", "2026-03-05").success


def test_a_back_fill_that_could_not_read_its_source_materializes_no_partition(cut: Daybreak) -> None:
    """The back-fill in the UI succeeds, and shows days as there that nobody read."""
    url, cut.environment["SHOP_DATABASE_URL"] = cut.url, "postgresql://nobody@127.0.0.1:1/x"
    try:
        result = run_days(cut, "2026-03-01", "2026-03-05")
    finally:
        cut.environment["SHOP_DATABASE_URL"] = url
    assert not materialized_days(result)
    assert not result.success
