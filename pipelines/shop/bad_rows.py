"""Rows that an application should not have written, though nothing in the schema forbids them.

Each breaks exactly one rule. Good rows never refer to bad ones: what belongs to a bad order is bad too, so that a
warehouse that sets the bad rows aside is left with a consistent shop. The simulator never touches a bad row again.
"""

from __future__ import annotations

from decimal import Decimal
from random import Random
from uuid import UUID

from pipelines.shop.model import DayChanges, Row, Shop, draw_instant
from pipelines.shop.people import draw_name, make_email


def add_bad_rows(shop: Shop, changes: DayChanges) -> None:
    """Add a dozen or two bad rows to the day, after all its good ones."""
    stream = shop.open_stream(changes.day, "bad rows")
    for _ in range(stream.randint(1, 2)):
        _add(changes, "customers", _make_customer(shop, changes, "test", stream))
    _add(changes, "customers", _make_customer(shop, changes, "consumer", stream))
    order_ids = [_add_order(shop, changes, number % 2 == 0, stream) for number in range(stream.randint(4, 6))]
    for order_id in order_ids[:3]:
        _add(changes, "order_items", _make_item(shop, changes, order_id, stream))
    for order_id in order_ids[: stream.randint(2, 4)]:
        at = draw_instant(stream, changes.starts_at, changes.ends_at)
        amount = Decimal(stream.randint(500, 20_000)).scaleb(-2)
        _add(changes, "payments", (shop.take_id("payments"), order_id, "card", amount, "unknown", at, at))
    for number in range(stream.randint(4, 7)):
        _add(changes, "events", _make_event(shop, changes, number % 2 == 0, stream))


def _add(changes: DayChanges, table: str, row: Row) -> None:
    changes.inserted[table].append(row)
    changes.bad_rows[table] += 1


def _make_customer(shop: Shop, changes: DayChanges, segment: str, stream: Random) -> Row:
    """Either a customer of segment `test`, or one who is a consumer and was created at `infinity`."""
    customer_id = shop.take_id("customers")
    at = draw_instant(stream, changes.starts_at, changes.ends_at)
    full_name = draw_name(stream)
    profile = (make_email(full_name, customer_id, "example.com"), full_name, "DE", segment, False)
    return (customer_id, *profile, at if segment == "test" else "infinity", at)


def _add_order(shop: Shop, changes: DayChanges, has_customer: bool, stream: Random) -> int:
    """Add an order that has no customer, or one whose customer was charged a negative shipping fee."""
    order_id = shop.take_id("orders")
    at = draw_instant(stream, changes.starts_at, changes.ends_at)
    customer_id = stream.choice(shop.customers).customer_id if has_customer else None
    fee = Decimal("-4.95") if has_customer else Decimal("4.95")
    _add(changes, "orders", (order_id, customer_id, "placed", "EUR", fee, at, at))
    return order_id


def _make_item(shop: Shop, changes: DayChanges, order_id: int, stream: Random) -> Row:
    product = stream.choice(shop.products)
    at = draw_instant(stream, changes.starts_at, changes.ends_at)
    price = Decimal(product.price_cents).scaleb(-2)
    return (order_id, 1, product.product_id, stream.choice((0, -1, -2)), price, Decimal("0.00"), at)


def _make_event(shop: Shop, changes: DayChanges, is_debug: bool, stream: Random) -> Row:
    """Either an event of type `debug`, or a view from country `??`."""
    event_id = shop.take_id("events")
    session_id = UUID(int=stream.getrandbits(128), version=4)
    at = draw_instant(stream, changes.starts_at, changes.ends_at)
    event_type, country = ("debug", "DE") if is_debug else ("view", "??")
    text = '{"build":"9f2c","note":"left in by mistake"}' if is_debug else '{"position":1}'
    return (event_id, session_id, None, event_type, "desktop", country, None, "198.51.100.1", text, at, at)
