"""Days that were loaded before and changed again, told from the ledger's entries alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pipelines.delivery.restated import find_restated
from pipelines.state.backfills import Backfill
from pipelines.sync.model import DayRange
from pipelines.sync.spec import PartitionSpec, TableSpec

NOW = datetime(2026, 3, 20, 7, tzinfo=UTC)
EVENTS = TableSpec("shop", "public", "events", "partitioned", ("id",), partition=PartitionSpec("at", date(2026, 1, 1), lookback_days=2))
Told = list[tuple[str, str, str]]


def load(
    token: int, days: Sequence[int], *, ago: float, inserted: int = 1, updated: int = 0, deleted: int = 0, unchanged: int = 0
) -> dict[str, Any]:
    """A load of days of March, committed so many days ago."""
    counts = {"inserted": inserted, "updated": updated, "deleted": deleted, "unchanged": unchanged}
    at = (NOW - timedelta(days=ago)).isoformat()
    return {"token": token, "window": {"days": [f"2026-03-{day:02}" for day in days]}, "counts": counts, "committed_at": at}


def backfill(first: int, end: int, *, ago: float, reason: str = "asked for") -> Backfill:
    at, days = NOW - timedelta(days=ago), DayRange(date(2026, 3, first), date(2026, 3, end))
    heard_at = at + timedelta(hours=2)
    return Backfill("1", "shop.events", days, days.end, days.start, "done", reason, None, "host/1", at - timedelta(hours=1), at, heard_at)


def told(entries: Sequence[dict[str, Any]], backfills: Sequence[Backfill] = (), spec: TableSpec = EVENTS) -> Told:
    return [(str(one.first), str(one.last), one.why) for one in find_restated(spec, entries, backfills, NOW)]


MORNINGS = [load(1, range(1, 16), ago=5), load(2, [13, 14, 15, 16], ago=4), load(3, [14, 15, 16, 17], ago=3)]


def test_first_loads_and_the_look_back_of_every_morning_restate_nothing() -> None:
    assert told(MORNINGS) == []


def test_an_old_day_that_was_loaded_again_is_restated_with_its_neighbours() -> None:
    assert told([*MORNINGS, load(4, [3, 4, 5], ago=1), load(5, [6, 9], ago=0.5)]) == [
        ("2026-03-09", "2026-03-09", ""),
        ("2026-03-03", "2026-03-06", ""),
    ]


def test_the_reason_is_that_of_the_back_fill_which_committed_the_day() -> None:
    entries = [*MORNINGS, load(4, [3, 4], ago=1), load(5, [5], ago=0.2)]
    assert told(entries, [backfill(3, 5, ago=1.01)]) == [("2026-03-05", "2026-03-05", ""), ("2026-03-03", "2026-03-04", "asked for")]


def test_a_back_fill_of_other_days_or_another_time_is_no_reason() -> None:
    entries = [*MORNINGS, load(4, [3], ago=1)]
    assert told(entries, [backfill(4, 9, ago=1.01), backfill(1, 9, ago=3)]) == [("2026-03-03", "2026-03-03", "")]


def test_of_a_load_only_the_days_beyond_the_look_back_count() -> None:
    assert told([*MORNINGS, load(4, range(13, 19), ago=1)]) == [("2026-03-13", "2026-03-14", "")]


def test_a_day_that_a_back_fill_loads_for_the_first_time_is_not_restated() -> None:
    with_a_hole = [load(1, [1, 2, 5, 6, 7, 8, 9], ago=5), load(2, range(1, 7), ago=1)]
    assert told(with_a_hole) == [("2026-03-05", "2026-03-06", ""), ("2026-03-01", "2026-03-02", "")]


def test_a_load_that_changed_no_row_restates_nothing() -> None:
    assert told([*MORNINGS, load(4, [3], ago=1, inserted=0, unchanged=9)]) == []


def test_it_is_told_for_a_week() -> None:
    entries = [load(1, range(1, 16), ago=30), load(2, [3], ago=7.5), load(3, [4], ago=6.5)]
    assert told(entries) == [("2026-03-04", "2026-03-04", "")]


def test_a_day_whose_first_load_is_no_longer_in_the_ledger_counts_if_all_its_rows_stood() -> None:
    pruned = [load(8, [15, 16, 17], ago=2)]
    assert told([*pruned, load(9, [3], ago=1)]) == []  # new, for all that is known
    assert told([*pruned, load(9, [3], ago=1, inserted=0, updated=2)]) == [("2026-03-03", "2026-03-03", "")]


def test_the_order_is_that_of_the_tokens_whatever_the_clock_said() -> None:
    assert told([load(2, [3], ago=1), load(1, range(1, 16), ago=0.5)]) == [("2026-03-03", "2026-03-03", "")]


def test_tables_without_days_and_loads_of_keys_have_none() -> None:
    orders = TableSpec("shop", "public", "orders", "incremental", ("id",), cursor="at")
    assert told([*MORNINGS, load(4, [3], ago=1)], spec=orders) == []
    assert told([*MORNINGS, load(4, [], ago=1, inserted=0, updated=3)]) == []
