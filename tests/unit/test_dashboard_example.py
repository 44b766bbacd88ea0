"""An invented shop's morning, 90 days with a believable rhythm, for the other dashboard tests and for looking at."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from pipelines.delivery.figures import reckon_figures
from pipelines.delivery.page import ModelHealth, MorningPage, TableHealth

PUBLISHED_AT = datetime(2026, 11, 2, 5, 4, 12, tzinfo=UTC)
DEVICES = {"mobile": (640, 0.021), "desktop": (410, 0.043), "tablet": (70, 0.031)}
TABLES = {
    "shop.customers": 412,
    "shop.addresses": 9_120,
    "shop.products": 1_284,
    "shop.orders": 1_902,
    "shop.order_items": 4_377,
    "shop.payments": 1_744,
    "shop.events": 28_310,
    "shop.inventory": 1_284,
}
MODELS = ("stg_shop__orders", "stg_shop__customers", "int_orders_priced", "orders", "customers", "daily_revenue")
REVENUE = pa.schema(
    [
        ("revenue_date", pa.date32()),
        ("order_count", pa.int64()),
        *(
            (name, pa.decimal128(18, 2))
            for name in (
                "gross_revenue",
                "discounts",
                "shipping_revenue",
                "net_revenue",
                "refunds",
                "average_order_value",
            )
        ),
    ]
)
FUNNEL = pa.schema(
    [
        ("event_date", pa.date32()),
        ("device", pa.string()),
        ("sessions", pa.int64()),
        ("sessions_with_cart", pa.int64()),
        ("sessions_with_purchase", pa.int64()),
        ("cart_rate", pa.float64()),
        ("purchase_rate", pa.float64()),
    ]
)
STATUSES = pa.schema([("status", pa.string()), ("order_count", pa.int64())])
COUNTRIES = pa.schema([("country", pa.string()), ("revenue", pa.decimal128(18, 2))])


def make_page(*, days: int = 90, published_at: datetime = PUBLISHED_AT) -> MorningPage:
    """A morning on which everything passed; `days` ends yesterday, and today's few orders are in the tables too."""
    chance = random.Random(90)
    today = published_at.date()
    calendar = [today - timedelta(days=back) for back in range(days, -1, -1)] if days else []
    statuses = {"delivered": 1_204, "shipped": 213, "paid": 96, "returned": 71, "cancelled": 58, "pending": 12}
    countries = {"Germany": 48_210, "France": 21_904, "Austria": 12_030, "Netherlands": 9_411, "Poland": 5_107}
    return MorningPage(
        title="Morning",
        published_at=published_at,
        data_as_of=published_at - timedelta(minutes=6) if days else None,
        time_zone="Europe/Berlin",
        tables=_make_tables(published_at) if days else (),
        models=_make_models(published_at) if days else (),
        daily_revenue=_table([_make_revenue_row(day, today, chance) for day in calendar], REVENUE),
        daily_funnel=_table([row for day in calendar for row in _make_funnel_rows(day, today, chance)], FUNNEL),
        orders_by_status=_table([{"status": key, "order_count": value} for key, value in statuses.items() if days], STATUSES),
        top_countries=_table([{"country": key, "revenue": Decimal(value)} for key, value in countries.items() if days], COUNTRIES),
        currency="EUR",
    )


def make_troubled_page(*, published_at: datetime = PUBLISHED_AT) -> MorningPage:
    """The morning after: a table held, one never loaded, rows in quarantine, a model left out and one that failed."""
    page = make_page(published_at=published_at)
    customers, addresses, products, orders, *others = page.tables
    held = replace(
        products,
        data_as_of=published_at - timedelta(days=1, minutes=4),
        rows_loaded=0,
        checks_passed=4,
        checks_failed=1,
        held_reason="`unit_price` is below 0 in 3 rows and the expectation's on_failure is `hold`.",
    )
    quarantined = replace(orders, rows_loaded=1_895, rows_quarantined=7, quarantined_open=19)
    never = replace(addresses, data_as_of=None, rows_read=0, rows_loaded=0, checks_passed=0)
    *built, priced, last = page.models
    left_out = replace(
        priced,
        built_at=published_at - timedelta(days=1),
        tests_passed=0,
        left_out_reason="it descends from shop.products, which is held.",
    )
    return replace(
        page,
        tables=(customers, never, held, quarantined, *others),
        models=(*built, left_out, replace(last, tests_failed=1)),
    )


def _make_tables(published_at: datetime) -> tuple[TableHealth, ...]:
    return tuple(
        TableHealth(name, published_at - timedelta(minutes=6 + rank), rows, rows, 0, 0, 5 + rank % 3, 0, None)
        for rank, (name, rows) in enumerate(TABLES.items())
    )


def _make_models(published_at: datetime) -> tuple[ModelHealth, ...]:
    return tuple(ModelHealth(name, published_at - timedelta(minutes=2), 4 + rank, 0, None) for rank, name in enumerate(MODELS))


def _make_revenue_row(day: date, today: date, chance: random.Random) -> dict[str, Any]:
    """A slow rise, busy Sundays and Mondays, one sale, and a day that is hardly begun."""
    weekly = (1.12, 1.0, 0.97, 0.98, 0.94, 0.86, 1.18)[day.weekday()]
    sale = 1.7 if (today - day).days in range(30, 34) else 1.0
    begun = 0.06 if day == today else 1.0
    rise = 1 - 0.0035 * (today - day).days + 0.05 * math.sin(day.toordinal() / 9)
    orders = round(62 * weekly * sale * begun * rise * chance.gauss(1, 0.07))
    gross = Decimal(orders) * Decimal(str(round(chance.gauss(78, 4), 2)))
    discounts = (gross * Decimal("0.06" if sale == 1.0 else "0.19")).quantize(Decimal("0.01"))
    shipping = Decimal(orders) * Decimal("3.90")
    net = gross - discounts + shipping
    return {
        "revenue_date": day,
        "order_count": orders,
        "gross_revenue": gross,
        "discounts": discounts,
        "shipping_revenue": shipping,
        "net_revenue": net,
        "refunds": (net * Decimal("0.04")).quantize(Decimal("0.01")),
        "average_order_value": (net / orders).quantize(Decimal("0.01")) if orders else None,
    }


def _make_funnel_rows(day: date, today: date, chance: random.Random) -> list[dict[str, Any]]:
    rows = []
    for device, (usual, rate) in DEVICES.items():
        sessions = round(usual * (0.06 if day == today else 1) * chance.gauss(1, 0.09))
        carts = round(sessions * 0.17 * chance.gauss(1, 0.06))
        purchases = round(sessions * rate * chance.gauss(1, 0.12))
        rates = {"cart_rate": carts / sessions, "purchase_rate": purchases / sessions} if sessions else {}
        rows.append(
            {
                "event_date": day,
                "device": device,
                "sessions": sessions,
                "sessions_with_cart": carts,
                "sessions_with_purchase": purchases,
                "cart_rate": rates.get("cart_rate"),
                "purchase_rate": rates.get("purchase_rate"),
            }
        )
    return rows


def _table(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist([dict(row) for row in rows], schema=schema)


def test_example_has_ninety_whole_days_and_a_day_that_is_not_over() -> None:
    page = make_page()
    assert page.daily_revenue.num_rows == 91
    assert len(reckon_figures(page).revenue) == 90
