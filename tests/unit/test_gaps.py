"""What is missing is what the catalog promises less what the ledger has, and each gap names the command that mends it."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.state.status import TableStatus
from pipelines.sync.gaps import Gap, Rest, Standing, find_gaps, spans_of, tell_days
from pipelines.sync.model import DayRange, Watermark
from pipelines.sync.plan import days_of
from pipelines.sync.spec import PartitionSpec, TableSpec

NOW = datetime(2026, 3, 20, 7, tzinfo=UTC)
EVENTS = TableSpec("shop", "public", "events", "partitioned", ("event_id",), partition=PartitionSpec("occurred_at", date(2026, 3, 1)))
ORDERS = TableSpec("shop", "public", "orders", "incremental", ("order_id",), cursor="updated_at")
LOADED = TableStatus("shop.events", load_id="1", data_as_of=NOW - timedelta(hours=1))
EQUAL: dict[str, Any] = {"outcome": "equal", "missing": 0, "extra": 0, "different": 0, "reason": None}


def march(*days: int) -> list[date]:
    return [date(2026, 3, day) for day in days]


def seen(first: int, end: int) -> TableStatus:
    return TableStatus("shop.events", load_id="1", data_as_of=NOW, seen=DayRange(date(2026, 3, first), date(2026, 3, end)))


def gaps(spec: TableSpec, standing: Standing) -> list[Gap]:
    return find_gaps(spec, standing, NOW, timedelta(hours=26))


def test_a_table_that_was_never_loaded_is_one_gap() -> None:
    (gap,) = gaps(ORDERS, Standing(TableStatus("shop.orders")))
    assert (gap.kind, gap.remedy) == ("never_loaded", "daybreak sync shop orders")


def test_a_whole_table_has_no_gap() -> None:
    assert gaps(EVENTS, Standing(seen(3, 6), march(3, 4, 5), compared=EQUAL)) == []
    assert gaps(ORDERS, Standing(LOADED, compared=EQUAL)) == []


def test_days_of_the_source_that_no_load_committed_are_missing() -> None:
    (gap,) = gaps(EVENTS, Standing(seen(2, 10), march(3, 4, 7)))
    assert gap.kind == "days_missing"
    assert list(gap.days) == march(2, 5, 6, 8, 9)
    command = "daybreak backfill shop events"
    ranges = ("2026-03-02 2026-03-02", "2026-03-05 2026-03-06", "2026-03-08 2026-03-09")
    assert gap.remedy == "; ".join(f"{command} {one}" for one in ranges)
    assert gap.told == "5 days were never loaded: 2026-03-02, 2026-03-05 to 2026-03-06, 2026-03-08 to 2026-03-09"


def test_a_hole_between_committed_days_is_seen_though_nobody_looked_at_the_source() -> None:
    (gap,) = gaps(EVENTS, Standing(LOADED, march(3, 5)))
    assert list(gap.days) == march(4)


def test_days_before_the_tables_start_are_no_gap() -> None:
    standing = Standing(TableStatus("t", load_id="1", data_as_of=NOW, seen=DayRange(date(2025, 1, 1), date(2026, 3, 3))), march(1, 2))
    assert gaps(EVENTS, standing) == []


def test_an_earlier_start_makes_earlier_days_a_gap_at_once() -> None:
    earlier = TableSpec("shop", "public", "events", "partitioned", ("event_id",), partition=PartitionSpec("at", date(2026, 2, 27)))
    standing = Standing(TableStatus("t", load_id="1", data_as_of=NOW, seen=DayRange(date(2025, 1, 1), date(2026, 3, 3))), march(1, 2))
    (gap,) = gaps(earlier, standing)
    assert [str(day) for day in gap.days] == ["2026-02-27", "2026-02-28"]


def test_days_that_a_back_fill_left_are_a_gap_of_their_own_unless_they_are_missing_anyway() -> None:
    left = [Rest(DayRange(date(2026, 3, 4), date(2026, 3, 7)), "a gate")]
    found = gaps(EVENTS, Standing(seen(3, 7), march(3, 4, 5), unfinished=left))
    assert [(gap.kind, list(gap.days)) for gap in found] == [("days_missing", march(6)), ("unfinished", march(4, 5))]
    assert [gap.held for gap in found] == [None, "a gate"]


def test_days_that_differ_from_the_source_are_a_gap_with_its_rows() -> None:
    compared = {**EQUAL, "outcome": "differs", "missing": 2, "different": 1, "differing_days": ["2026-03-04"]}
    (gap,) = gaps(EVENTS, Standing(seen(3, 6), march(3, 4, 5), compared=compared))
    assert (gap.kind, list(gap.days), gap.told) == ("days_differ", march(4), "3 rows are not as in the source, on 2026-03-04")


def test_a_table_that_could_not_be_compared_has_no_known_difference() -> None:
    assert gaps(ORDERS, Standing(LOADED, compared={**EQUAL, "outcome": "held", "reason": "its schema changed"})) == []


def test_days_that_were_loaded_since_they_were_compared_are_no_gap_any_more() -> None:
    compared = {**EQUAL, "outcome": "differs", "missing": 2, "differing_days": ["2026-03-04", "2026-03-05"]}
    (gap,) = gaps(EVENTS, Standing(seen(3, 6), march(3, 4, 5), march(4), compared))
    assert list(gap.days) == march(5)
    assert gaps(EVENTS, Standing(seen(3, 6), march(3, 4, 5), march(4, 5), compared)) == []


def test_a_source_that_was_emptied_lacks_nothing() -> None:
    assert gaps(EVENTS, Standing(seen(20, 20), march(3, 5))) == []


def test_what_a_back_fill_left_before_a_later_start_is_no_gap() -> None:
    left = [Rest(DayRange(date(2026, 2, 1), date(2026, 2, 20)))]
    assert gaps(EVENTS, Standing(seen(3, 4), march(3), unfinished=left)) == []


def test_rows_that_the_guard_holds_wait_for_a_person() -> None:
    compared = {**EQUAL, "outcome": "held", "extra": 900, "reason": "900 of 1,000 rows are gone"}
    (gap,) = gaps(ORDERS, Standing(LOADED, compared=compared))
    assert (gap.kind, gap.held) == ("rows_differ", "900 of 1,000 rows are gone")
    assert gap.remedy == "daybreak reconcile shop orders --heal"


def test_columns_without_values_in_older_rows_are_a_gap() -> None:
    status = TableStatus("shop.orders", load_id="1", data_as_of=NOW, watermark=Watermark(unfilled=("tier", "note")))
    (gap,) = gaps(ORDERS, Standing(status))
    assert (gap.kind, gap.told) == ("unfilled", "older rows have no values in tier, note yet")


def test_a_table_whose_source_was_not_read_for_too_long_is_behind() -> None:
    (gap,) = gaps(ORDERS, Standing(TableStatus("shop.orders", load_id="1", data_as_of=NOW - timedelta(hours=27), held_reason="down")))
    assert (gap.kind, gap.held) == ("behind", "down")


DAYS = st.sets(st.integers(0, 400).map(lambda number: date(2026, 1, 1) + timedelta(days=number)), min_size=1, max_size=60)


@given(DAYS, st.integers(1, 8))
def test_spans_hold_every_day_and_are_no_more_than_wanted(days: set[date], most: int) -> None:
    spans = spans_of(days, most)
    covered = {day for span in spans for day in days_of(span)}
    assert days <= covered
    assert len(spans) <= most
    assert all(before.end < after.start for before, after in pairwise(spans))
    assert min(covered) == min(days)
    assert max(covered) == max(days)


@pytest.mark.parametrize(("most", "spans"), [(3, 3), (2, 2), (1, 1)])
def test_the_narrowest_holes_are_closed_first(most: int, spans: int) -> None:
    found = spans_of(march(1, 2, 4, 9), most)
    assert len(found) == spans
    if most == 2:
        assert found == [DayRange(date(2026, 3, 1), date(2026, 3, 5)), DayRange(date(2026, 3, 9), date(2026, 3, 10))]


def test_many_ranges_are_told_by_the_first_few() -> None:
    assert tell_days(march(1, 3, 5, 7, 9)) == "2026-03-01, 2026-03-03, 2026-03-05 and 2 more ranges"
