"""The four numbers on top of the page: yesterday, against the same weekday a week ago, with the weeks before as a line.

What the numbers are is reckoned in `figures`; how a tile looks stands in templates/morning.html.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from pipelines.delivery.figures import Figures, sum_funnels
from pipelines.delivery.wording import NOTHING, weekday, write_count, write_day, write_money, write_percent

SPARKLINE_DAYS = 28
SPARKLINE_WIDTH, SPARKLINE_HEIGHT = 120, 32


@dataclass(frozen=True)
class Tile:
    """One number on top of the page; every field is text as the reader sees it."""

    label: str
    day: str  # the day that the value is of: not always yesterday
    value: str
    trend: str  # up | down | flat | none
    change: str
    comparison: str
    sparkline: str | None  # the path of an SVG of SPARKLINE_WIDTH × SPARKLINE_HEIGHT


@dataclass(frozen=True)
class _Measure:
    label: str
    values: Mapping[date, Decimal]
    write: Callable[[Decimal], str]
    is_ratio: bool = False  # compared in percentage points: 3 % to 4 % is not "33 % more" to most readers


def make_tiles(figures: Figures, currency: str) -> list[Tile]:
    """Always the same four; each shows the last day that has its number, which may be earlier than yesterday."""
    return [_make_tile(measure, figures.last_day) for measure in _measure(figures, currency)]


def _measure(figures: Figures, currency: str) -> list[_Measure]:
    order_values = {each.day: each.average_order_value for each in figures.revenue if each.average_order_value is not None}
    return [
        _Measure(
            "Net revenue",
            {each.day: each.net_revenue for each in figures.revenue},
            lambda value: write_money(value, currency, decimals=0),
        ),
        _Measure(
            "Orders",
            {each.day: Decimal(each.order_count) for each in figures.revenue},
            lambda value: write_count(int(value)),
        ),
        _Measure("Average order value", order_values, lambda value: write_money(value, currency)),
        _Measure("Purchase rate", _purchase_rates(figures), lambda value: write_percent(value, decimals=2), True),
    ]


def _purchase_rates(figures: Figures) -> dict[date, Decimal]:
    days = {each.day for each in figures.funnel_days}
    rates = {day: sum_funnels("all", (each.funnel for each in figures.funnel_days if each.day == day)).purchase_rate for day in days}
    return {day: rate for day, rate in rates.items() if rate is not None}


def _make_tile(measure: _Measure, last_day: date) -> Tile:
    if not measure.values:
        return Tile(measure.label, "", NOTHING, "none", "No data yet", "", None)
    day = max(measure.values)
    trend, change = _compare(measure, day)
    return Tile(
        label=measure.label,
        day=write_day(day, year=False) if day == last_day else f"{write_day(day, year=False)}, the last there is",
        value=measure.write(measure.values[day]),
        trend=trend,
        change=change,
        comparison="" if trend == "none" else f"vs {write_day(day - timedelta(days=7), year=False)}",
        sparkline=draw_sparkline(measure.values, day),
    )


def _compare(measure: _Measure, day: date) -> tuple[str, str]:
    before = measure.values.get(day - timedelta(days=7))
    if before is None or (before == 0 and not measure.is_ratio):
        return "none", f"No {weekday(day)} a week ago to compare with"
    difference = measure.values[day] - before
    shown, unit = (difference * 100, "\N{NO-BREAK SPACE}pp") if measure.is_ratio else (difference / abs(before) * 100, "%")
    text = f"{abs(shown):.{2 if measure.is_ratio else 1}f}"
    if not any(digit in "123456789" for digit in text):
        return "flat", f"±0{unit}"
    return ("up", f"+{text}{unit}") if shown > 0 else ("down", f"−{text}{unit}")


def draw_sparkline(values: Mapping[date, Decimal], last_day: date) -> str | None:
    """The last four weeks; a missing day breaks nothing, its neighbours are joined. One point is no line."""
    days = sorted(day for day in values if 0 <= (last_day - day).days < SPARKLINE_DAYS)
    if len(days) < 2:
        return None
    low, high = min(values[day] for day in days), max(values[day] for day in days)
    span = (last_day - days[0]).days
    points = []
    for day in days:
        across = 3 + (day - days[0]).days / span * (SPARKLINE_WIDTH - 6)
        height = float((values[day] - low) / (high - low)) if high > low else 0.5
        points.append((round(across, 1), round(SPARKLINE_HEIGHT - 3 - height * (SPARKLINE_HEIGHT - 6), 1)))
    return "M" + " L".join(f"{across} {down}" for across, down in points)
