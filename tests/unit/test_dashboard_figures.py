"""What is reckoned from the marts' rows: complete days, averages, comparisons, and how they are written."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest

from pipelines.delivery.figures import last_complete_day, reckon_figures
from pipelines.delivery.tiles import draw_sparkline, make_tiles
from pipelines.delivery.wording import write_count, write_instant, write_money, write_percent
from tests.unit.test_dashboard_example import FUNNEL, REVENUE, make_page

MORNING = datetime(2026, 11, 2, 5, 0, tzinfo=UTC)


def revenue_of(amounts: dict[date, int | None]) -> pa.Table:
    rows = [
        {
            "revenue_date": day,
            "order_count": 2,
            "net_revenue": amount,
            "average_order_value": None if amount is None else Decimal(amount) / 2,
        }
        for day, amount in amounts.items()
    ]
    return pa.Table.from_pylist(rows, schema=REVENUE)


@pytest.mark.parametrize(
    ("data_as_of", "last_day"),
    [
        (MORNING, date(2026, 11, 1)),
        (datetime(2026, 11, 1, 20, 0, tzinfo=UTC), date(2026, 11, 1)),
        (datetime(2026, 10, 30, 12, 0, tzinfo=UTC), date(2026, 10, 29)),  # the 30th was not over
        (None, date(2026, 11, 1)),
    ],
)
def test_last_complete_day(data_as_of: datetime | None, last_day: date) -> None:
    assert last_complete_day(MORNING, data_as_of, "Europe/Berlin") == last_day


def test_yesterday_is_that_of_the_project_and_not_of_utc() -> None:
    half_past_midnight_in_auckland = datetime(2026, 11, 1, 11, 30, tzinfo=UTC)
    assert last_complete_day(half_past_midnight_in_auckland, None, "Pacific/Auckland") == date(2026, 11, 1)
    assert last_complete_day(half_past_midnight_in_auckland, None, "UTC") == date(2026, 10, 31)


def test_average_is_over_the_days_that_there_are() -> None:
    days = {date(2026, 10, 20): 70, date(2026, 10, 21): 30, date(2026, 11, 1): 10}
    figures = reckon_figures(replace(make_page(), daily_revenue=revenue_of(dict(days))))
    assert [each.net_revenue_average for each in figures.revenue] == [70, 50, 10]
    assert figures.missing_revenue_days == 10


def test_null_amounts_do_not_break_the_page() -> None:
    figures = reckon_figures(replace(make_page(), daily_revenue=revenue_of({date(2026, 11, 1): None})))
    assert figures.revenue[0].net_revenue == 0
    assert figures.revenue[0].average_order_value is None
    assert [tile.value for tile in make_tiles(figures, "EUR")][:3] == ["€0", "2", "–"]


def test_tiles_compare_with_the_same_weekday_a_week_ago() -> None:
    table = revenue_of({date(2026, 10, 25): 200, date(2026, 11, 1): 150})
    tile = make_tiles(reckon_figures(replace(make_page(), daily_revenue=table)), "EUR")[0]
    assert (tile.value, tile.trend, tile.change, tile.comparison) == ("€150", "down", "−25.0%", "vs Sun 25 Oct")


def test_tile_says_when_its_day_is_not_yesterday() -> None:
    table = revenue_of({date(2026, 10, 30): 150})
    tile = make_tiles(reckon_figures(replace(make_page(), daily_revenue=table)), "EUR")[0]
    assert tile.day == "Fri 30 Oct, the last there is"


def test_conversion_is_a_ratio_of_sums_and_knows_no_sessions() -> None:
    rows = [
        {"event_date": date(2026, 10, 31), "device": "mobile", "sessions": 900, "sessions_with_purchase": 9},
        {"event_date": date(2026, 11, 1), "device": "mobile", "sessions": 100, "sessions_with_purchase": 11},
        {"event_date": date(2026, 11, 1), "device": None, "sessions": 0, "sessions_with_purchase": 0},
    ]
    figures = reckon_figures(replace(make_page(), daily_funnel=pa.Table.from_pylist(rows, schema=FUNNEL)))
    assert [funnel.device for funnel in figures.funnel_week] == ["mobile", "unknown"]
    assert figures.funnel_week[0].purchase_rate == Decimal("0.02")
    assert figures.funnel_week[1].purchase_rate is None
    assert figures.conversion[-2].funnel.purchase_rate == Decimal("0.02")


def test_a_day_may_be_a_timestamp_but_not_a_text() -> None:
    stamped = pa.schema([("event_date", pa.timestamp("us")), *list(FUNNEL)[1:]])
    row = {"event_date": datetime(2026, 11, 1), "device": "mobile", "sessions": 3}
    figures = reckon_figures(replace(make_page(), daily_funnel=pa.Table.from_pylist([row], schema=stamped)))
    assert figures.funnel_days[0].day == date(2026, 11, 1)
    text = pa.table({"event_date": ["2026-11-01"], "device": ["x"], "sessions": [1]})
    text = text.append_column("sessions_with_cart", [[0]]).append_column("sessions_with_purchase", [[0]])
    with pytest.raises(TypeError, match="must be a date"):
        reckon_figures(replace(make_page(), daily_funnel=text))


def test_sparkline_of_one_day_is_none_and_of_equal_days_is_level() -> None:
    day = date(2026, 11, 1)
    assert draw_sparkline({day: Decimal(3)}, day) is None
    level = draw_sparkline({day - timedelta(days=1): Decimal(3), day: Decimal(3)}, day)
    assert level == "M3.0 16.0 L117.0 16.0"


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        (Decimal("1234567.891"), "EUR", "€1,234,567.89"),
        (Decimal("-12.5"), "USD", "−$12.50"),
        (Decimal("-0.001"), "USD", "$0.00"),
        (Decimal("1200"), "JPY", "¥1,200"),
        (Decimal("3"), "CHF", "CHF\N{NO-BREAK SPACE}3.00"),
        (None, "EUR", "–"),
    ],
)
def test_money(amount: Decimal | None, currency: str, written: str) -> None:
    assert write_money(amount, currency) == written


def test_counts_percents_and_instants() -> None:
    assert write_count(-1234) == "−1,234"
    assert write_percent(Decimal("0.0346")) == "3.5%"
    assert write_percent(None) == "–"
    assert write_instant(datetime(2026, 7, 1, 22, 30), "Europe/Berlin") == "Thu 2 Jul 2026, 00:30 CEST"
