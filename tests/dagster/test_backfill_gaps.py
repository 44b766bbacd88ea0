"""The sensor that fills gaps: its decision alone, and ticks on the real source that are missed, doubled, reordered or killed half-way."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus

import sensors.backfill_gaps as under_test
from pipelines.runs.backfills import Asked, DaysOrder, assets_in_backfills, find_asked, launch_days
from pipelines.sync.gaps import Gap
from sensors.backfill_gaps import FIRST_PAUSE, LONGEST_PAUSE, MOST_AT_ONCE, MOST_RUNS, Wish, decide, list_wishes
from tests.dagster.conftest import Daybreak
from tests.dagster.test_partitions import EVENTS, committed_days, run_days

NOW = datetime(2026, 3, 10, 6, tzinfo=UTC)
WISH = Wish("shop.events", (date(2026, 3, 4), date(2026, 3, 5)), "2 days were never loaded")


def gap(kind: Any, *days: int, table: str = "shop.events", held: str | None = None) -> Gap:
    return Gap(table, kind, f"{len(days)} {kind}", "", tuple(date(2026, 3, day) for day in days), held)


def after(outcomes: Mapping[int, Asked], wish: Wish = WISH, now: datetime = NOW) -> tuple[list[str], list[str]]:
    """Decide where these attempts were made, by their number."""
    known = {wish.id_of(attempt): asked for attempt, asked in outcomes.items()}
    requests, waiting = decide([wish], set(), known.get, now)
    return [request.backfill_id for request in requests], waiting


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
    runs = 1 + sum(later - earlier > timedelta(days=1) for earlier, later in zip(wish.days, wish.days[1:], strict=False))
    assert runs <= MOST_RUNS
    assert set(scattered) <= set(wish.days)


def test_a_gap_is_asked_for_once_while_its_back_fill_goes_on() -> None:
    assert after({}) == ([WISH.id_of(1)], [])
    assert after({1: Asked("running", NOW)}) == ([], ["shop.events: its back-fill is going on"])


def test_a_back_fill_that_did_not_help_is_tried_again_later_and_later() -> None:
    pauses = []
    for attempts in range(1, 16):
        made = {number: Asked("failed" if number % 2 else "succeeded", NOW) for number in range(1, attempts + 1)}
        assert after(made, now=NOW + FIRST_PAUSE / 2)[0] == []
        pause = next(minutes for minutes in range(1, 1500) if after(made, now=NOW + timedelta(minutes=minutes))[0])
        assert after(made, now=NOW + timedelta(minutes=pause))[0] == [WISH.id_of(attempts + 1)]
        pauses.append(timedelta(minutes=pause))
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (FIRST_PAUSE, LONGEST_PAUSE)


def test_one_that_got_further_is_not_made_to_wait() -> None:
    rest = replace(WISH, days=WISH.days[1:])
    known = {WISH.id_of(1): Asked("failed", NOW)}
    assert [request.backfill_id for request in decide([rest], set(), known.get, NOW)[0]] == [rest.id_of(1)]


def test_one_that_a_person_canceled_is_not_asked_for_again() -> None:
    assert after({1: Asked("canceled", NOW)}, now=NOW + timedelta(days=30))[0] == []


def test_a_table_that_a_back_fill_is_about_already_is_left_alone_and_few_go_on_at_once() -> None:
    wishes = [replace(WISH, table=f"shop.t{number}") for number in range(5)]
    requests, waiting = decide(wishes, {"shop.t0"}, lambda _id: None, NOW)
    assert [request.table for request in requests] == ["shop.t1"]
    assert len(requests) + 1 == MOST_AT_ONCE
    assert waiting[0] == "shop.t0: a back-fill is going on"
    assert all("enough" in told for told in waiting[1:])


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
    monkeypatch.setattr(under_test, "find_asked", lambda _instance, _id: None)  # the other tick has not written yet
    monkeypatch.setattr(under_test, "assets_in_backfills", lambda _instance: set())
    tick(cut)
    assert [one.backfill_id for one in asked(cut)] == [before.backfill_id]


def test_a_daemon_killed_between_two_requests_asks_for_the_other_one_later() -> None:
    partitions = dg.DailyPartitionsDefinition("2026-03-01", end_date="2026-03-09")
    wishes = [replace(WISH, table=f"shop.t{number}") for number in range(2)]
    with dg.DagsterInstance.ephemeral() as instance:

        def one_tick(dies_after: int) -> None:
            busy = {key.to_user_string() for key in assets_in_backfills(instance)}
            requests, _ = decide(wishes, busy, lambda backfill_id: find_asked(instance, backfill_id), NOW)
            for request in requests[:dies_after]:
                order = DaysOrder(request.backfill_id, dg.AssetKey(request.table), request.days, request.why, {})
                assert launch_days(instance, order, partitions)

        one_tick(dies_after=1)
        one_tick(dies_after=2)
        one_tick(dies_after=2)
        assert sorted(key.to_user_string() for one in instance.get_backfills() for key in one.asset_selection or ()) == [
            "shop.t0",
            "shop.t1",
        ]


def test_five_thousand_days_are_one_back_fill_of_one_range() -> None:
    first = date(2012, 1, 1)
    days = [first + timedelta(days=number) for number in range(5000)]
    (wish,) = list_wishes([Gap("shop.events", "days_missing", f"{len(days)} days", "", tuple(days))])
    partitions = dg.DailyPartitionsDefinition(first.isoformat())
    with dg.DagsterInstance.ephemeral() as instance:
        order = DaysOrder(wish.id_of(1), EVENTS, wish.days, wish.why, {})
        assert launch_days(instance, order, partitions)
        assert not launch_days(instance, order, partitions)
        (backfill,) = instance.get_backfills()
        data = backfill.asset_backfill_data
        assert data is not None
        subset = data.target_subset.get_partitions_subset(EVENTS)
        assert len(subset) == 5000
        assert len(subset.get_partition_key_ranges(partitions)) == 1


def test_days_that_are_no_partition_are_not_asked_for() -> None:
    partitions = dg.DailyPartitionsDefinition("2026-03-05", end_date="2026-03-09")
    with dg.DagsterInstance.ephemeral() as instance:
        launch_days(instance, DaysOrder("id", EVENTS, WISH.days, 'why "so" 100%*', {}), partitions)
        (backfill,) = instance.get_backfills()
        assert (backfill.title, backfill.description) == ("why so 100", 'why "so" 100%*')
        data = backfill.asset_backfill_data
        assert data is not None
        assert list(data.target_subset.get_partitions_subset(EVENTS).get_partition_keys()) == ["2026-03-05"]


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
