"""What the marts' rows say about the business: complete days, seven-day averages, yesterday against a week ago.

Exact (Decimal), pure, and without a word of HTML or a colour: `charts` and `tiles` show what is reckoned here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pipelines.delivery.page import MorningPage
from pipelines.delivery.wording import localize

if TYPE_CHECKING:
    import pyarrow as pa

SHOWN_DAYS = 90
AVERAGE_DAYS = 7
SHOWN_COUNTRIES = 10


@dataclass(frozen=True)
class RevenueDay:
    """One row of the mart of daily revenue; amounts in units of its currency, `average_order_value` None where the mart has null."""

    day: date
    order_count: int
    gross_revenue: Decimal
    discounts: Decimal
    shipping_revenue: Decimal
    net_revenue: Decimal
    refunds: Decimal
    average_order_value: Decimal | None
    net_revenue_average: Decimal  # over the last seven days, fewer at the start


@dataclass(frozen=True)
class Funnel:
    """Sessions of one device, or of all of them, in one day or in several."""

    device: str
    sessions: int
    carts: int
    purchases: int

    @property
    def cart_rate(self) -> Decimal | None:
        """The share (0 to 1) of sessions with a cart; None without sessions."""
        return _divide(self.carts, self.sessions)

    @property
    def purchase_rate(self) -> Decimal | None:
        """The share (0 to 1) of sessions that end in a purchase; None without sessions."""
        return _divide(self.purchases, self.sessions)


@dataclass(frozen=True)
class FunnelDay:
    """One device's sessions of a day, or of the seven days that end with it."""

    day: date
    funnel: Funnel


@dataclass(frozen=True)
class Share:
    """One bar of a ranking."""

    name: str
    amount: Decimal


@dataclass(frozen=True)
class Figures:
    """Everything that the page draws, for days that were over; oldest first."""

    last_day: date
    revenue: tuple[RevenueDay, ...]
    funnel_days: tuple[FunnelDay, ...]  # per day and device
    conversion: tuple[FunnelDay, ...]  # per day and device, each over its last seven days
    funnel_week: tuple[Funnel, ...]  # per device, the device with most sessions first
    order_statuses: tuple[Share, ...]
    countries: tuple[Share, ...]

    @property
    def missing_revenue_days(self) -> int:
        """Days without a row between the first day that has one and the last."""
        if not self.revenue:
            return 0
        return (self.revenue[-1].day - self.revenue[0].day).days + 1 - len(self.revenue)


def reckon_figures(page: MorningPage) -> Figures:
    """Reckon the last `SHOWN_DAYS` complete days; averages reach back before them. TypeError where a mart's day is not a date."""
    last_day = last_complete_day(page.published_at, page.data_as_of, page.time_zone)
    first_day = last_day - timedelta(days=SHOWN_DAYS - 1)
    revenue = _reckon_revenue(page.daily_revenue, last_day)
    funnel_days = _read_funnel(page.daily_funnel, last_day)
    week = [each for each in funnel_days if each.day > last_day - timedelta(days=AVERAGE_DAYS)]
    return Figures(
        last_day=last_day,
        revenue=tuple(each for each in revenue if each.day >= first_day),
        funnel_days=tuple(each for each in funnel_days if each.day >= first_day),
        conversion=tuple(each for each in _average_conversion(funnel_days) if each.day >= first_day),
        funnel_week=sum_by_device(week),
        order_statuses=_rank(page.orders_by_status, "status", "order_count"),
        countries=_rank(page.top_countries, "country", "revenue")[:SHOWN_COUNTRIES],
    )


def last_complete_day(published_at: datetime, data_as_of: datetime | None, time_zone: str) -> date:
    """Yesterday; or, when the data stopped before yesterday began, the day before the one it stopped in."""
    yesterday = localize(published_at, time_zone).date() - timedelta(days=1)
    if data_as_of is None:
        return yesterday
    data_day = localize(data_as_of, time_zone).date()
    return yesterday if data_day >= yesterday else data_day - timedelta(days=1)


def sum_by_device(days: Iterable[FunnelDay]) -> tuple[Funnel, ...]:
    """One funnel per device over all of `days`, the device with most sessions first."""
    by_device: dict[str, list[Funnel]] = defaultdict(list)
    for each in days:
        by_device[each.funnel.device].append(each.funnel)
    summed = (sum_funnels(device, funnels) for device, funnels in by_device.items())
    return tuple(sorted(summed, key=lambda funnel: (-funnel.sessions, funnel.device)))


def sum_funnels(device: str, funnels: Iterable[Funnel]) -> Funnel:
    """Add the counts, so that a rate of the result weighs each session alike."""
    counted = list(funnels)
    return Funnel(
        device=device,
        sessions=sum(funnel.sessions for funnel in counted),
        carts=sum(funnel.carts for funnel in counted),
        purchases=sum(funnel.purchases for funnel in counted),
    )


def _reckon_revenue(table: pa.Table, last_day: date) -> list[RevenueDay]:
    rows = {_as_date(row["revenue_date"]): row for row in table.to_pylist()}
    net = {day: _as_decimal(row["net_revenue"]) for day, row in rows.items()}
    days = sorted(day for day in rows if day <= last_day)
    return [_reckon_revenue_day(day, rows[day], _average_before(day, net)) for day in days]


def _reckon_revenue_day(day: date, row: Mapping[str, Any], average: Decimal) -> RevenueDay:
    order_value = row["average_order_value"]
    return RevenueDay(
        day=day,
        order_count=int(row["order_count"] or 0),
        gross_revenue=_as_decimal(row["gross_revenue"]),
        discounts=_as_decimal(row["discounts"]),
        shipping_revenue=_as_decimal(row["shipping_revenue"]),
        net_revenue=_as_decimal(row["net_revenue"]),
        refunds=_as_decimal(row["refunds"]),
        average_order_value=None if order_value is None else _as_decimal(order_value),
        net_revenue_average=average,
    )


def _average_before(day: date, amounts: Mapping[date, Decimal]) -> Decimal:
    """Over the days that there are among the last seven: a missing day is missing, not a day without revenue."""
    window = [day - timedelta(days=back) for back in range(AVERAGE_DAYS)]
    present = [amounts[each] for each in window if each in amounts]
    return sum(present, Decimal(0)) / len(present)


def _read_funnel(table: pa.Table, last_day: date) -> list[FunnelDay]:
    days = [
        FunnelDay(
            day=_as_date(row["event_date"]),
            funnel=Funnel(
                device=str(row["device"] or "unknown"),
                sessions=int(row["sessions"] or 0),
                carts=int(row["sessions_with_cart"] or 0),
                purchases=int(row["sessions_with_purchase"] or 0),
            ),
        )
        for row in table.to_pylist()
    ]
    return sorted((each for each in days if each.day <= last_day), key=lambda each: (each.day, each.funnel.device))


def _average_conversion(days: list[FunnelDay]) -> list[FunnelDay]:
    """Sums over seven days, so that a quiet day weighs little; the mean of daily rates would let it weigh a seventh."""
    by_device: dict[str, dict[date, Funnel]] = defaultdict(dict)
    for each in days:
        by_device[each.funnel.device][each.day] = each.funnel
    averaged = []
    for device, funnels in by_device.items():
        for day in funnels:
            window = (funnels.get(day - timedelta(days=back)) for back in range(AVERAGE_DAYS))
            averaged.append(FunnelDay(day, sum_funnels(device, (funnel for funnel in window if funnel))))
    return sorted(averaged, key=lambda each: (each.day, each.funnel.device))


def _rank(table: pa.Table, name: str, amount: str) -> tuple[Share, ...]:
    shares = [Share(str(row[name] or "unknown"), _as_decimal(row[amount])) for row in table.to_pylist()]
    return tuple(sorted(shares, key=lambda share: (-share.amount, share.name)))


def _divide(part: int, whole: int) -> Decimal | None:
    return Decimal(part) / Decimal(whole) if whole else None


def _as_decimal(value: Decimal | float | None) -> Decimal:
    """Through text: Decimal(0.1) is 0.1000000000000000055."""
    return Decimal(0) if value is None else Decimal(str(value))


def _as_date(value: object) -> date:
    """A mart may cut days with date_trunc, which gives timestamps at midnight."""
    if isinstance(value, datetime):
        return value.date()
    if not isinstance(value, date):
        raise TypeError(f"A day of a mart must be a date, and {value!r} is a {type(value).__name__}.")
    return value
