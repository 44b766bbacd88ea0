"""Windows and days: what is missing, what is looked at again, and where days begin."""

from datetime import date, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.sync.model import DayRange
from pipelines.sync.plan import DAYS_PER_LOAD, day_start, day_windows, days_of, missing_days, requested_days
from pipelines.sync.shape import Column, TableSchema
from pipelines.sync.spec import PartitionSpec, TableSpec

SPEC = TableSpec("shop", "public", "t", "partitioned", partition=PartitionSpec("at", date(2026, 1, 1), 2))
TODAY = date(2026, 3, 10)
STAMP = pa.timestamp("us", tz="UTC")
SCHEMA = TableSchema((Column("at", "timestamptz", STAMP),), "1")


def test_days_run_from_the_first_row_to_yesterday() -> None:
    days = missing_days(SPEC, [], DayRange(date(2026, 2, 1), date(2026, 4, 1)), TODAY)
    assert (days[0], days[-1], len(days)) == (date(2026, 2, 1), date(2026, 3, 9), 37)


def test_committed_days_but_for_the_newest_are_not_read_again() -> None:
    committed = list(days_of(DayRange(date(2026, 2, 1), TODAY)))
    assert missing_days(SPEC, committed, DayRange(date(2026, 2, 1), TODAY), TODAY) == [date(2026, 3, 7), date(2026, 3, 8), date(2026, 3, 9)]


@pytest.mark.parametrize("source", [None, DayRange(date(2026, 2, 1), date(2026, 3, 8))])
def test_newest_days_whose_rows_were_all_deleted_are_looked_at_again(source: DayRange | None) -> None:
    committed = list(days_of(DayRange(date(2026, 2, 1), TODAY)))
    assert missing_days(SPEC, committed, source, TODAY)[-1] == date(2026, 3, 9)


def test_old_days_that_the_source_has_forgotten_are_not_emptied() -> None:
    committed = list(days_of(DayRange(date(2026, 1, 1), TODAY)))
    assert missing_days(SPEC, committed, DayRange(date(2026, 3, 1), TODAY), TODAY)[0] == date(2026, 3, 7)


def test_an_empty_source_that_was_never_loaded_has_no_days() -> None:
    assert missing_days(SPEC, [], None, TODAY) == []


def test_a_request_is_cut_to_the_days_that_the_table_has_and_that_are_over() -> None:
    source = DayRange(date(2025, 1, 1), date(2026, 12, 1))
    days = requested_days(SPEC, DayRange(date(2025, 12, 1), date(2026, 12, 1)), TODAY, source, ())
    assert (days[0], days[-1]) == (date(2026, 1, 1), date(2026, 3, 9))


def test_a_source_that_forgot_its_past_is_not_followed_where_days_stand() -> None:
    asked = DayRange(date(2026, 1, 5), date(2026, 1, 9))
    stands = {date(2026, 1, 5), date(2026, 1, 6)}
    later = DayRange(date(2026, 1, 8), date(2026, 2, 1))
    assert [day.day for day in requested_days(SPEC, asked, TODAY, later, stands)] == [7, 8]
    assert [day.day for day in requested_days(SPEC, asked, TODAY, None, stands)] == [7, 8]


@given(st.sets(st.dates(date(2026, 1, 1), date(2026, 12, 31)), max_size=120), st.sampled_from(["UTC", "America/Havana", "Pacific/Chatham"]))
def test_windows_hold_every_day_once_and_their_bounds_meet(days: set[date], zone: str) -> None:
    *windows, rest = day_windows(SPEC, SCHEMA, list(days), zone)
    assert rest.is_null
    assert [day for window in windows for day in window.days] == sorted(days)
    for window in windows:
        assert len(window.days) <= DAYS_PER_LOAD
        assert window.lower == day_start(window.days[0], STAMP, zone)
        assert window.upper == day_start(window.days[-1] + timedelta(days=1), STAMP, zone)


def test_after_a_pause_the_days_before_it_are_looked_at_again_for_their_late_rows() -> None:
    committed = list(days_of(DayRange(date(2026, 2, 1), date(2026, 2, 21))))
    days = missing_days(SPEC, committed, DayRange(date(2026, 2, 1), TODAY), TODAY)
    assert (days[0], days[-1]) == (date(2026, 2, 19), date(2026, 3, 9))
