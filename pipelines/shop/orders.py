"""Orders: placing one, and what happens to it in the days after.

An order's whole life is drawn from (seed, order id), so it need not be stored: whoever reads the order again draws
the same. Its captured payments and refunds add up to its total when it is paid, shipped or
delivered, and to zero otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from pipelines.shop.model import Customer, DayChanges, OpenOrder, OrderStep, Product, Row, Shop, make_money
from pipelines.shop.vocabulary import CURRENCIES, PAYMENT_METHODS, PAYMENT_WEIGHTS, RATES

# The longest life drawn below is 25 days.
LONGEST_LIFE = timedelta(days=30)
HOUR = 3600.0
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Basket:
    """What a visit ends with: `lines` are (product, pieces), each product once."""

    customer: Customer
    lines: Sequence[tuple[Product, int]]
    placed_at: datetime


@dataclass(frozen=True, slots=True)
class PricedLine:
    """`price_cents` is for one piece, `discount_cents` for the whole line, both in the order's currency."""

    product_id: int
    quantity: int
    price_cents: int
    discount_cents: int


def place_order(shop: Shop, changes: DayChanges, basket: Basket) -> tuple[OpenOrder, list[PricedLine]]:
    """Take an order. Its items are written here, the order itself at the end of the day (`move_orders`)."""
    order_id = shop.take_id("orders")
    stream = Random(f"{shop.seed}/basket/{order_id}")
    currency = CURRENCIES.get(basket.customer.country, "EUR")
    lines = [_price_line(product, quantity, currency, stream) for product, quantity in basket.lines]
    goods_cents = sum(line.quantity * line.price_cents - line.discount_cents for line in lines)
    free_from_cents, fee_cents = int(7500 * RATES[currency]), int(495 * RATES[currency])
    fee_cents = 0 if goods_cents >= free_from_cents else fee_cents
    order = OpenOrder(
        order_id=order_id,
        customer_id=basket.customer.customer_id,
        currency=currency,
        fee_cents=fee_cents,
        total_cents=goods_cents + fee_cents,
        placed_at=basket.placed_at,
        steps=draw_steps(shop.seed, order_id, basket.placed_at),
    )
    shop.open_orders.append(order)
    for number, line in enumerate(lines, start=1):
        money = (make_money(line.price_cents), make_money(line.discount_cents))
        row = (order_id, number, line.product_id, line.quantity, *money, basket.placed_at)
        changes.inserted["order_items"].append(row)
    return order, lines


def draw_steps(seed: int, order_id: int, placed_at: datetime) -> list[OrderStep]:
    """Draw what will happen to an order, in order of time."""
    stream = Random(f"{seed}/order/{order_id}")
    method = stream.choices(PAYMENT_METHODS, PAYMENT_WEIGHTS)[0]
    steps: list[OrderStep] = []
    at = placed_at
    if stream.random() < 0.08:
        at = _later(at, stream, 5.0, 90.0)
        steps.append(OrderStep(at, None, method, 1, "failed"))
    if stream.random() < 0.06:
        return [*steps, OrderStep(_later(at, stream, 0.2 * HOUR, 2 * DAY), "cancelled")]
    slow = method in ("invoice", "bank_transfer")
    at = _later(at, stream, 0.5 * DAY, 4 * DAY) if slow else _later(at, stream, 8.0, 300.0)
    steps.append(OrderStep(at, "paid", method, 1, "captured"))
    if stream.random() < 0.03:
        at = _later(at, stream, 1 * HOUR, 1 * DAY)
        return [*steps, OrderStep(at, "refunded", method, -1, "refunded")]
    at = _later(at, stream, 0.3 * DAY, 2.5 * DAY)
    steps.append(OrderStep(at, "shipped"))
    at = _later(at, stream, 0.8 * DAY, 6 * DAY)
    steps.append(OrderStep(at, "delivered"))
    if stream.random() < 0.05:
        at = _later(at, stream, 2 * DAY, 12 * DAY)
        # Written as `refunded` until the application knows the status (`layout.py`). The dbt test of the statuses then
        # warns, as it should: it stops no run, and the marts take the money from the payments.
        steps.append(OrderStep(at, "returned", method, -1, "refunded"))
    return steps


def move_orders(shop: Shop, changes: DayChanges) -> None:
    """Let everything happen that is due by the day's end; write its orders, payments and new statuses."""
    payments: list[tuple[datetime, Row]] = []
    for order in shop.open_orders:
        moved_at = order.placed_at
        while order.steps and order.steps[0].at < changes.ends_at:
            step = order.steps.pop(0)
            if step.status is not None:
                order.status, moved_at = step.status, step.at
            if step.charge:
                amount = make_money(step.charge * order.total_cents)
                payment = (order.order_id, step.method, amount, step.payment_status, step.at, step.at)
                payments.append((step.at, payment))
        if order.placed_at >= changes.starts_at:
            facts = (order.customer_id, order.status, order.currency, make_money(order.fee_cents))
            changes.inserted["orders"].append((order.order_id, *facts, order.placed_at, moved_at))
        elif moved_at > order.placed_at:
            changes.updated["orders"].append((order.order_id, order.status, moved_at))
    payments.sort(key=lambda payment: payment[0])
    changes.inserted["payments"].extend((shop.take_id("payments"), *row) for _, row in payments)
    shop.open_orders = [order for order in shop.open_orders if order.steps]


def _price_line(product: Product, quantity: int, currency: str, stream: Random) -> PricedLine:
    price_cents = int(product.price_cents * RATES[currency] + 0.5)
    is_reduced = stream.random() < 0.15
    discount_cents = quantity * price_cents * stream.choice((5, 10, 20)) // 100 if is_reduced else 0
    return PricedLine(product.product_id, quantity, price_cents, discount_cents)


def _later(at: datetime, stream: Random, least_seconds: float, most_seconds: float) -> datetime:
    return at + timedelta(seconds=least_seconds + (most_seconds - least_seconds) * stream.random())
